from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt import CompareOperator, DecideOperator, PlanRoundsOperator, VariantOperator
from airflow_provider_aiopt.airflow.context import REPORTS_KEY
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.reports import StageReport
from airflow_provider_aiopt.telemetry.run_report import load_stage_reports, write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report

VARIANTS = {"large": {"execution.batch_size": 2}, "streamed": {"mode": "streaming"}}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of the run that the tasks belong to."""
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "work"))
    return tmp_path / "work" / "dag" / "run"


def execute(operator: Any) -> tuple[Any, FakeTaskInstance]:
    ti = FakeTaskInstance(operator.task_id)
    return operator.execute(task_context(ti)), ti


def write_turns(base: Path, name: str, factor: float, rounds: int = 8) -> None:
    for number in range(1, rounds + 1):
        report = make_stage_report(
            start=60 * number, wall_s=factor * (1 + number / 100), items_in=5, items_out=5
        )
        write_stage_report(Folder.open(str(base / name / f"round-{number:03d}")), report)


class TestPlan:
    @pytest.mark.parametrize("variants", [VARIANTS, json.dumps(VARIANTS)])
    def test_each_has_a_turn_in_each_round(self, variants: Any) -> None:
        turns, _ = execute(PlanRoundsOperator(task_id="plan", variants=variants, rounds="2"))
        rounds = [turns[:3], turns[3:]]
        assert [sorted(group) for group in rounds] == [
            [f"{name}/round-{number:03d}" for name in ("baseline", "large", "streamed")] for number in (1, 2)
        ]
        first, second = ([turn.partition("/")[0] for turn in group] for group in rounds)
        assert first == second[::-1]

    @pytest.mark.parametrize(
        ("variants", "rounds", "message"),
        [
            ("{", 2, "variants is no JSON"),
            ({}, 2, "variants must name at least one"),
            ({"../x": {}}, 2, r"A variant is called '\.\./x'"),
            ({"baseline": {}}, 2, "is not 'baseline'"),
            ({"b": 3}, 2, "The variant b is 3"),
            ({"b": {"mode": "fast"}}, 2, "its mode staged or streaming"),
            ({"b": {}}, 0, "rounds is 0; give 1 or more"),
        ],
    )
    def test_what_makes_no_sense_fails_at_once(self, variants: Any, rounds: int, message: str) -> None:
        with pytest.raises(AirflowFailException, match=message):
            execute(PlanRoundsOperator(task_id="plan", variants=variants, rounds=rounds))


class TestVariant:
    @pytest.mark.parametrize(
        "turn",
        [
            ("baseline/round-001", "staged", 8),
            ("large/round-002", "staged", 2),
            ("streamed/round-001", "streaming", 8),
        ],
    )
    def test_it_runs_the_pipeline_with_the_variants_settings(
        self,
        work: Path,
        tmp_path: Path,
        write_pipeline: Callable[[Path], dict[str, Any]],
        turn: tuple[str, str, int],
    ) -> None:
        name, mode, batch = turn
        spec = write_pipeline(tmp_path) | {"sink": {"uri": str(tmp_path / "published")}}
        spec["execution"] = {"shards": 1, "workers": 1}
        operator = VariantOperator(task_id="run", spec=spec, variants=VARIANTS, turn=name)
        for _ in range(2):  # the second as a retry: it does all again
            answer, ti = execute(operator)
        assert answer == name
        reports = [StageReport.model_validate(report) for report in ti.xcoms[REPORTS_KEY]]
        assert [report.resumed_items for report in reports] == [0] * 4
        assert reports[-1].items_out == 4
        assert (reports[0].details.get("mode") == "streaming") is (mode == "streaming")
        whole = {report.stage: report for report in load_stage_reports(Folder.open(str(work / name)))}
        assert max(whole["inference"].batch_sizes) == min(batch, 4)
        left = {path.name for path in (work / name).iterdir()}
        assert {"reports", "results"} <= left
        assert not left & {"ingest", "preprocess", "inference", "postprocess"}
        assert not (tmp_path / "published").exists()

    def test_a_turn_of_another_comparison(
        self, work: Path, tmp_path: Path, write_pipeline: Callable[[Path], dict[str, Any]]
    ) -> None:
        operator = VariantOperator(
            task_id="run", spec=write_pipeline(tmp_path), variants=VARIANTS, turn="other/round-001"
        )
        with pytest.raises(AirflowFailException, match=r"'other/round-001' is no run .* of baseline, large"):
            execute(operator)


class TestCompare:
    def test_the_turns_of_the_run(self, work: Path) -> None:
        for name, factor in (("baseline", 1.0), ("b", 0.8), ("c", 1.0)):
            write_turns(work, name, factor)
        (work / "other").mkdir()
        settings = {"metric": "inference", "threshold": "0.05", "seed": "1"}
        found, _ = execute(CompareOperator(task_id="compare", settings=settings, min_agreement="0.9"))
        assert (found["verdict"], found["winner"], found["metric"]) == ("better", "b", "inference")
        assert {name: item["verdict"] for name, item in found["variants"].items()} == {
            "b": "better",
            "c": "equivalent",
        }
        assert found["variants"]["b"]["ratio"] == pytest.approx(0.8)
        assert len(json.dumps(found)) < 4096
        written = json.loads(Path(found["report_uri"]).read_text())
        assert (written["baseline"], written["paired"]) == ("baseline", True)

    def test_runs_of_other_dags(self, work: Path, tmp_path: Path) -> None:
        for name, factor in (("old", 1.0), ("new", 1.3)):
            write_turns(tmp_path, name, factor)
        runs = {name: str(tmp_path / name) for name in ("old", "new")}
        found, _ = execute(CompareOperator(task_id="compare", runs=runs))
        assert (found["verdict"], found["winner"]) == ("worse", "old")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"treshold": 1}, "settings has treshold; it may have metric, threshold"),
            ({"alpha": "much"}, "settings: could not convert"),
            ({"metric": "shard_p95"}, "Not every run has the metric 'shard_p95'"),
        ],
    )
    def test_what_cannot_be_compared_fails_at_once(
        self, work: Path, settings: dict[str, Any], message: str
    ) -> None:
        for name in ("baseline", "b"):
            write_turns(work, name, 1.0)
        with pytest.raises(AirflowFailException, match=message):
            execute(CompareOperator(task_id="compare", settings=settings))


SUMMARY = {"verdict": "better", "winner": "large", "metric": "wall", "report_uri": "/r/comparison.json"}
FOLLOW = {"better": "adopt", "equivalent": ["keep", "tell"]}


class TestDecide:
    def choose(self, summary: Any, **options: Any) -> tuple[Any, FakeTaskInstance]:
        operator = DecideOperator(task_id="decide", comparison=summary, **{"follow": FOLLOW} | options)
        ti = FakeTaskInstance("decide")
        return operator.choose_branch(task_context(ti)), ti

    def test_the_winner_is_published_with_its_settings(self, tmp_path: Path) -> None:
        target = tmp_path / "winners" / "photos.json"
        tasks, ti = self.choose(SUMMARY, variants=json.dumps(VARIANTS), publish=str(target))
        assert (tasks, ti.xcoms) == ("adopt", {"winner": "large"})
        assert json.loads(target.read_text()) == SUMMARY | {"overrides": VARIANTS["large"]}

    def test_the_baseline_has_no_settings_of_its_own(self, tmp_path: Path) -> None:
        target = tmp_path / "winner.json"
        tasks, _ = self.choose(
            SUMMARY | {"verdict": "equivalent", "winner": "baseline"},
            variants=VARIANTS,
            publish=str(target),
        )
        assert tasks == ["keep", "tell"]
        assert json.loads(target.read_text())["overrides"] == {}

    def test_nothing_is_published_before_it_is_known(self, tmp_path: Path) -> None:
        target = tmp_path / "winner.json"
        target.write_text("as it was")
        tasks, _ = self.choose(SUMMARY | {"verdict": "inconclusive"}, publish=str(target))
        assert tasks is None
        assert target.read_text() == "as it was"

    @pytest.mark.parametrize(
        ("summary", "options", "message"),
        [
            (["x"], {}, "comparison must be the output of a CompareOperator"),
            (SUMMARY, {"follow": {"good": "adopt"}}, "follow names good; verdicts are better, worse"),
        ],
    )
    def test_what_is_wrong_fails_at_once(self, summary: Any, options: dict[str, Any], message: str) -> None:
        with pytest.raises(AirflowFailException, match=message):
            self.choose(summary, **options)


def test_airflow_can_serialise_them(tmp_path: Path) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("dag", schedule=None) as dag:
        plan = PlanRoundsOperator(task_id="plan", variants=VARIANTS, rounds=2)
        VariantOperator.partial(task_id="run", spec={"source": {"uri": "x"}}, variants=VARIANTS).expand(
            turn=plan.output
        )
        compare = CompareOperator(task_id="compare")
        DecideOperator(task_id="decide", comparison=compare.output, follow={})
    DagSerialization.to_dict(dag)
