"""Custom transforms whose processes crash, hang or cannot be started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from custom_site import CustomSite, letters

from airflow_provider_aiopt.exceptions import ProcessStartError

MODES = pytest.mark.parametrize("mode", ["staged", "streaming"])


@MODES
def test_records_that_crash_or_hang_are_found_and_the_others_go_on(tmp_path: Path, mode: str) -> None:
    site = CustomSite(tmp_path, mode, "Plain", processes=True)
    site.add_texts("a", "b", "crash", "c", "hang", "d", "e", "crash", "f", "g", "h")
    outcome = site.run(execution__record_timeout_s=4.0)

    assert "".join(letters(outcome).values()) == "abcdefgh"
    assert {name: (record.error_class, record.message) for name, record in outcome.bad.items()} == {
        "02": ("RecordCrashError", "The process that prepared the record was killed by SIGSEGV"),
        "04": (
            "RecordTimeoutError",
            "Preparing the record was given up after 4 s, which is what execution.record_timeout_s allows",
        ),
        "07": ("RecordCrashError", "The process that prepared the record was killed by SIGSEGV"),
    }


@MODES
def test_processes_that_cannot_be_started_are_no_records_fault(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOPT_TEST_PARENT", str(os.getpid()))
    site = CustomSite(tmp_path, mode, "dies_in_a_process", processes=True)
    site.add_texts("a", "b")
    with pytest.raises(ProcessStartError, match="ended with exit code 9 before it was ready"):
        site.run()


@MODES
def test_every_process_takes_part_and_all_end_with_the_run(tmp_path: Path, mode: str) -> None:
    site = CustomSite(tmp_path, mode, "ProcessOnly", processes=True)
    site.add_texts(*"abcdefghijklmnopqrstuvwx")
    outcome = site.run()

    used = {row["output"][0] for row in outcome.rows.values()}
    assert len(used) == 2
    assert os.getpid() % 1000 not in used
    assert _children() == set()


def _children() -> set[str]:
    """Names of the worker processes that there are."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if b"worker_process" in command and parent == os.getpid():
            found.add(entry.name)
    return found
