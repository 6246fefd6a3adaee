"""``make demo`` as a user runs it: what it prints, what it leaves, and that nothing goes on running."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow_support import REPOSITORY, clean_environment, processes_of, wait_until
from demo_view import summarise

pytestmark = pytest.mark.integration

PHOTOGRAPHS = REPOSITORY / "examples" / "photographs"
STAGES = ("ingest", "preprocess", "inference", "postprocess")


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(REPOSITORY / "scripts" / "demo.py"), "--folder", str(folder), *options]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=clean_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def sessions_below(pid: int) -> set[int]:
    """The sessions that a process's children lead: the demo's Airflow is one."""
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _parent_and_session(entry) == (pid, int(entry.name))
    }


def _parent_and_session(entry: Path) -> tuple[int, int]:
    try:
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0, 0
    return int(fields[1]), int(fields[3])


def await_airflow(process: subprocess.Popen[str]) -> int:
    wait_until(lambda: len(sessions_below(process.pid)) == 1, "the demo has started its Airflow")
    return sessions_below(process.pid).pop()


def test_progress_says_how_far_each_stage_is() -> None:
    tasks = [
        task("ingest", "success"),
        task("preprocess", "success", try_number=3),
        task("preprocess", "running"),
        task("inference", "failed"),
        task("inference", "success"),
        task("postprocess", "upstream_failed", try_number=0),
    ]

    assert summarise(tasks) == {
        "ingest": ("done", "1 of 1 tasks done"),
        "preprocess": ("running", "1 of 2 tasks done, 2 retried"),
        "inference": ("failed", "1 of 2 tasks done, 1 failed"),
        "postprocess": ("failed", "0 of 1 tasks done, not run since an earlier stage failed"),
    }
    assert summarise([])["ingest"] == ("waiting", "waiting")


def task(task_id: str, state: str, try_number: int = 1) -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "try_number": try_number}


def test_the_demo_classifies_the_photographs_and_accounts_for_its_time(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        session = await_airflow(process)
        output, errors = process.communicate(timeout=180)

    assert process.returncode == 0, errors
    assert errors == ""
    assert processes_of(session) == []

    photographs = [*PHOTOGRAPHS.glob("*.jpg"), *PHOTOGRAPHS.glob("*.png")]
    assert len(photographs) == 6
    for photograph in photographs:
        row = re.search(rf"{re.escape(photograph.name)} .*", output)
        assert row, f"{photograph.name} is not in:\n{output}"
        # The score to three places; those of the next best have two.
        assert len(re.findall(r"\b[01]\.\d{3}\b", row[0])) == 1
    for stage in STAGES:
        assert re.search(rf"^ *{stage}\b.*\d", output, re.MULTILINE), output
    assert re.search(r"bottleneck: (" + "|".join(STAGES) + ")", output)
    assert "6 records in, 6 results, 0 quarantined" in output

    with (tmp_path / "stages.csv").open(newline="", encoding="utf-8") as file:
        assert [row["Stage"] for row in csv.DictReader(file)] == list(STAGES)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["records_in"], report["results"], report["quarantined"]) == (6, 6, 0)
    assert all(stage["queued_s"] is not None for stage in report["stages"])
    assert (tmp_path / "stages.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "stages.svg").read_text(encoding="utf-8")
    for name in ("stages.csv", "stages.png", "stages.svg", "report.json"):
        assert str(tmp_path / name) in output


def test_a_failed_run_is_explained_and_everything_is_stopped(tmp_path: Path) -> None:
    with demo(tmp_path / "demo", "--photographs", str(tmp_path / "nowhere")) as process:
        session = await_airflow(process)
        _, errors = process.communicate(timeout=180)

    assert process.returncode == 1
    assert "The demo failed: the DAG run" in errors
    assert "ingest" in errors
    assert str(tmp_path / "nowhere") in errors
    assert processes_of(session) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_stops_everything(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with demo(tmp_path) as process:
        session = await_airflow(process)
        process.send_signal(number)
        process.communicate(timeout=60)

    assert process.returncode == code
    assert processes_of(session) == []


def test_keep_leaves_airflow_up_until_ctrl_c(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep") as process:
        session = await_airflow(process)
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        login = re.search(
            r"stays up at (http://127\.0\.0\.1:\d+)\nLog in as admin with the password (\S+)", printed
        )
        assert login, printed
        assert processes_of(session)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert processes_of(session) == []
