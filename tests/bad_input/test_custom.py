"""Records that a custom transform fails on, and transforms that do not keep to their protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from custom_site import ALLOWED, CustomSite, letters

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.exceptions import SpecError, TransformError
from airflow_provider_aiopt.telemetry.run_report import load_run_report

TEXTS = ("ab", "raise", "c", "bad", "d", "", "large", "ef", "g")
MODES = pytest.mark.parametrize("mode", ["staged", "streaming"])
WHERE = pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])


@MODES
@WHERE
@pytest.mark.parametrize("shards", [1, 3])
def test_each_fault_costs_one_record(tmp_path: Path, mode: str, processes: bool, shards: int) -> None:
    site = CustomSite(tmp_path, mode, "Plain", processes=processes)
    site.add_texts(*TEXTS)
    outcome = site.run(execution__shards=shards)

    assert letters(outcome) == {"00": "ab", "02": "c", "04": "d", "07": "ef", "08": "g"}
    assert {name: (record.error_class, record.message) for name, record in outcome.bad.items()} == {
        "01": ("DecodeError", "The transform raised ZeroDivisionError: division by zero"),
        "03": ("DecodeError", "it says so"),
        "05": ("EmptyRecordError", outcome.bad["05"].message),
        "06": ("RecordTooLargeError", "too large"),
    }


@MODES
@WHERE
def test_none_but_bad_records(tmp_path: Path, mode: str, processes: bool) -> None:
    site = CustomSite(tmp_path, mode, "Plain", processes=processes)
    site.add_texts("bad", "raise", "bad")
    outcome = site.run(cache__uri=str(tmp_path / "cache"))

    assert not outcome.rows
    assert len(outcome.bad) == 3


@MODES
@pytest.mark.parametrize("processes", [False, True])
def test_a_transform_that_breaks_its_protocol_fails_the_run(
    tmp_path: Path, mode: str, processes: bool
) -> None:
    arguments = {"prepared": [{"values": [1]}, {}]}
    site = CustomSite(tmp_path, mode, "Answering", processes=processes, arguments=arguments)
    site.add_texts("a", "b")
    with pytest.raises(TransformError, match=r"returned 1 entries in the column 'values' for [12] payloads"):
        site.run(execution__workers=1)


@MODES
def test_it_runs_only_where_it_is_allowed(
    tmp_path: Path, mode: str, fails: Callable[[list[str]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = CustomSite(tmp_path, mode, "Plain")
    site.add_texts("a")
    told = "preprocess.transform: 'sample_transforms.Plain' is not allowed here; allowed is what lies under: "

    assert fails(site.arguments()).startswith(f"{told}nothing. A deployment lists its prefixes in [aiopt]")
    assert fails([*site.arguments(), "--allow-callables=another"]).startswith(f"{told}another. ")
    assert main([*site.arguments(), f"--allow-callables={ALLOWED[0]}"]) == 0
    monkeypatch.setenv("AIOPT_ALLOWED_CALLABLES", ALLOWED[0])
    assert main(site.arguments("other")) == 0


@MODES
@pytest.mark.parametrize(("transform", "error"), [("fails", TransformError), ("Missing", SpecError)])
def test_one_that_cannot_be_made_fails_the_run(
    tmp_path: Path, mode: str, transform: str, error: type[Exception]
) -> None:
    site = CustomSite(tmp_path, mode, transform)
    site.add_texts("a")
    with pytest.raises(error, match=rf"preprocess\.transform: 'sample_transforms\.{transform}'"):
        site.run()


@MODES
def test_results_of_another_version_are_made_anew(tmp_path: Path, mode: str) -> None:
    def resumed(site: CustomSite, **arguments: Any) -> int:
        site.run(preprocess__arguments={"version": "1"} | arguments, cache__uri=str(tmp_path / "cache"))
        report = load_run_report(site.context().workspace.root)
        return sum(stage.resumed for stage in report.stages if stage.stage != "ingest")

    site = CustomSite(tmp_path, mode, "Plain")
    site.add_texts("a", "b")
    assert resumed(site) == 0
    assert resumed(site) > 0
    assert resumed(site, version="2") == 0
    assert letters(site.outcome()) == {"00": "a", "01": "b"}


@MODES
def test_threads_and_processes_are_one_to_resume_and_cache(tmp_path: Path, mode: str) -> None:
    site = CustomSite(tmp_path, mode, "Plain")
    site.add_texts("a", "b", "c", "d", "e", "f")
    cache = {"cache__uri": str(tmp_path / "cache")}
    first = site.run("first", **cache)
    second = site.run("second", preprocess__processes=True, **cache)
    assert letters(first) == letters(second)
    stages = load_run_report(site.context("second").workspace.root).stages
    assert next(stage for stage in stages if stage.stage == "preprocess").cache_hits == 6
