from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.compare import running
from airflow_provider_aiopt.compare.agreement import check_agreement, find_agreement
from airflow_provider_aiopt.compare.comparing import compare_runs
from airflow_provider_aiopt.compare.loading import in_rounds, load_runs, usable_run
from airflow_provider_aiopt.compare.models import Agreement, Settings
from airflow_provider_aiopt.compare.running import Bench, Variant, run_interleaved
from airflow_provider_aiopt.data.folder import Folder, resolve_filesystem
from airflow_provider_aiopt.exceptions import ComparisonError, StorageError
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report

SETTINGS = Settings(metric="wall")
ROWS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rows, and models that answer either of two labels."""
    path = tmp_path_factory.mktemp("pipeline")
    (path / "rows.csv").write_text("a,b\n" + "".join(f"{number},1\n" for number in range(ROWS)))
    (path / "labels.txt").write_text("cat\ndog\n")
    linear_model(path / "model.onnx", np.array([[1, 0], [0, 1]]))
    linear_model(path / "other.onnx", np.array([[0, 1], [1, 0]]))
    return path


def variant(folder: Path, name: str, *, mode: Any = "staged", **overrides: Any) -> Variant:
    values = {
        "name": "animals",
        "source": {"uri": str(folder / "rows.csv"), "format": "csv", "columns": ["a", "b"]},
        "preprocess": {"kind": "tabular"},
        "model": {"uri": str(folder / "model.onnx"), "labels": str(folder / "labels.txt")},
        "postprocess": {"kind": "classification"},
        "sink": {"uri": str(folder / "published")},
        "execution": {"workers": 1},
    }
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return Variant(name, load_spec(values, overrides=dotted), mode)


def interleaved(folder: Path, to: Path, *variants: Variant, **options: Any) -> dict[str, list[RunReport]]:
    defaults: dict[str, Any] = {"rounds": 2, "most_rounds": 10, "warm_ups": 0}
    return run_interleaved(variants, Bench(Folder.open(str(to))), SETTINGS, **defaults | options)


class TestInterleaved:
    def test_runs_are_made_in_rounds_and_leave_reports_and_the_last_results(
        self, folder: Path, tmp_path: Path
    ) -> None:
        told: list[tuple[int, str]] = []
        found = interleaved(
            folder,
            tmp_path,
            variant(folder, "a"),
            variant(folder, "b", mode="streaming", execution__shards=2),
            warm_ups=1,
            on_run=lambda number, name, _: told.append((number, name)),
        )
        assert [number for number, _ in told] == [1, 1, 2, 2]
        assert [name for _, name in told[:2]] == [name for _, name in told[:1:-1]]
        assert {name: len(group) for name, group in found.items()} == {"a": 2, "b": 2}
        assert all(report.results == ROWS for group in found.values() for report in group)
        assert (found["a"][0].overlapped, found["b"][0].tasks[0].details["mode"]) == (False, "streaming")
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/*")}
        assert left == {
            *(f"{name}/round-{number:03d}/reports" for name in "ab" for number in (1, 2)),
            "a/round-002/results",
            "b/round-002/results",
        } | {path for path in left if path.endswith("/quarantine")}
        assert not (folder / "published").exists(), "a measurement publishes nothing"

        loaded = [load_runs(str(tmp_path / name), resolver=resolve_filesystem) for name in "ab"]
        assert in_rounds(loaded)
        assert [report.wall_s for report in loaded[0].values()] == [report.wall_s for report in found["a"]]

    def test_the_number_of_rounds_follows_from_the_first(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def needed(runs: dict[str, list[RunReport]], _: Settings) -> int:
            asked.append(len(runs["a"]))
            return 5

        monkeypatch.setattr(running, "PILOT_ROUNDS", 2)
        monkeypatch.setattr(running, "recommended_rounds", needed)
        plans: list[int | None] = []
        found = interleaved(
            folder, tmp_path, variant(folder, "a"), variant(folder, "b"), rounds=None, on_plan=plans.append
        )
        assert (asked, plans) == ([2, 4, 5], [5, 5, 5])
        assert len(found["a"]) == len(found["b"]) == 5

    def test_a_process_of_its_own(self, folder: Path, tmp_path: Path) -> None:
        bench = Bench(Folder.open(str(tmp_path)), fresh=True)
        report = bench.run(variant(folder, "a"), "round-001")
        here = Bench(Folder.open(str(tmp_path))).run(variant(folder, "a"), "round-002")
        assert (report.results, here.results) == (ROWS, ROWS)
        assert report.tasks[0].pid != here.tasks[0].pid

    def test_what_fails_there_is_told(self, folder: Path, tmp_path: Path) -> None:
        bench = Bench(Folder.open(str(tmp_path)), fresh=True)
        with pytest.raises(
            ComparisonError, match=r"A run of a ended with exit code 1: ModelNotFoundError: .*x\.onnx"
        ):
            bench.run(variant(folder, "a", model__uri="/nowhere/x.onnx"), "round-001")

    def test_a_run_begins_anew(self, folder: Path, tmp_path: Path) -> None:
        bench = Bench(Folder.open(str(tmp_path)))
        for _ in range(2):
            report = bench.run(variant(folder, "a"), "round-001")
            assert not any(stage.resumed for stage in report.stages)


class TestAgreement:
    def found(self, folder: Path, tmp_path: Path, **overrides: Any) -> Agreement:
        runs = interleaved(
            folder, tmp_path, variant(folder, "a"), variant(folder, "b", **overrides), rounds=1
        )
        agreement = find_agreement(runs["a"], runs["b"], resolver=resolve_filesystem)
        assert agreement is not None
        return agreement

    def test_the_same_labels_in_other_shards(self, folder: Path, tmp_path: Path) -> None:
        assert self.found(folder, tmp_path, execution__shards=3) == Agreement(
            balanced=True, records=ROWS, shared=ROWS, same=ROWS, quarantined=(0, 0)
        )

    def test_other_labels(self, folder: Path, tmp_path: Path) -> None:
        found = self.found(folder, tmp_path, model__uri=str(folder / "other.onnx"))
        assert (found.shared, found.same) == (ROWS, 1)  # the one row that both answer alike has equal scores

    def test_vectors_are_compared_within_a_tolerance(self, folder: Path, tmp_path: Path) -> None:
        raw = {"postprocess": {"kind": "raw"}}
        runs = interleaved(
            folder,
            tmp_path,
            variant(folder, "a", **raw),
            variant(folder, "b", **raw),
            variant(folder, "c", **raw, model__uri=str(folder / "other.onnx")),
            rounds=1,
        )
        same, other = (
            find_agreement(runs["a"], runs[name], resolver=resolve_filesystem) for name in ("b", "c")
        )
        assert same is not None
        assert other is not None
        assert (same.same, other.same) == (ROWS, 1)

    def test_without_results_there_is_nothing_to_say(self, folder: Path, tmp_path: Path) -> None:
        report = build_run_report([make_stage_report()])
        assert find_agreement([report], [report], resolver=resolve_filesystem) is None

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"same": 4}, r"b answers 4 of 6 records as a does, 66.7%; at least 98.0% must"),
            ({"balanced": False}, "a and b do not account for the same records"),
        ],
    )
    def test_other_work_is_refused(self, fields: dict[str, Any], message: str) -> None:
        report = build_run_report([make_stage_report()])
        values = {"balanced": True, "records": 6, "shared": 6, "same": 6, "quarantined": (0, 0)}
        groups = {"a": [report, report], "b": [report, report]}
        agreed, differing = (
            compare_runs(groups, SETTINGS, paired=True, agreements={"b": Agreement(**values | changed)})
            for changed in ({}, fields)
        )
        check_agreement(agreed, 0.98)
        with pytest.raises(ComparisonError, match=message):
            check_agreement(differing, 0.98)


class TestLoading:
    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ComparisonError, match="There are no runs in"):
            load_runs(str(tmp_path), resolver=resolve_filesystem)

    @pytest.mark.parametrize(
        ("fields", "what"),
        [({"state": "failed"}, "failed in"), ({"items_out": 3, "resumed_items": 3}, "was resumed in")],
    )
    def test_runs_that_are_not_whole(self, fields: dict[str, Any], what: str) -> None:
        report = build_run_report([make_stage_report(**fields)])
        with pytest.raises(ComparisonError, match=f"The run /r {what} inference"):
            usable_run(report, "/r")


def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Folder.open(str(tmp_path))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(target.filesystem, "rm", refuse)
    with pytest.raises(StorageError, match="Cannot remove"):
        running.forget(target)
