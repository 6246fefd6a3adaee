"""Searches over a real pipeline, bounded by trials and not by time; nothing depends on what is fastest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from custom_site import CustomSite

from airflow_provider_aiopt.exceptions import TuningError
from airflow_provider_aiopt.tuning.models import Limits
from airflow_provider_aiopt.tuning.options import Watch
from airflow_provider_aiopt.tuning.search import Tuner

pytestmark = pytest.mark.integration

BATCHES = {"execution.batch_size": (1, 4, 16)}


def test_a_search_goes_on_where_it_was_interrupted(site: CustomSite, tuner: Callable[..., Tuner]) -> None:
    journal = site.folder / "study.journal"

    def interrupt(trial: object, best: object) -> None:
        raise KeyboardInterrupt

    first = tuner(Watch(trial=interrupt), only=BATCHES).run(journal)
    assert (first.ended, len(first.trials), first.winner) == ("interrupted", 1, None)
    baseline = first.baseline
    assert (baseline.origin, baseline.outcome) == ("baseline", "complete")
    assert baseline.configuration == {"execution.batch_size": 4}
    assert baseline.items_per_s is not None
    assert baseline.p95_s is not None
    assert baseline.peak_memory_bytes is not None
    assert 0 < baseline.p95_s < 60
    assert baseline.peak_memory_bytes > 10 * 2**20
    with pytest.raises(TuningError, match="--resume"):
        tuner(only=BATCHES).run(journal)
    with pytest.raises(TuningError, match="another spec"):
        tuner(only={"execution.batch_size": (1, 4)}).run(journal, resume=True)

    report = tuner(only=BATCHES).run(journal, resume=True)
    assert report.ended == "exhausted"
    assert report.trials[0] == baseline
    assert sorted(trial.configuration["execution.batch_size"] for trial in report.trials) == [1, 4, 16]
    assert report.trials[1].ended_s > baseline.ended_s
    for item in report.finalists:
        assert item.metric.rounds >= 6
        assert item.agreement is not None
        assert (item.agreement.same, item.agreement.records) == (20, 20)
    assert report.winner is None or report.changes == report.best.configuration
    assert not (site.folder / "work").exists()


def test_a_gain_that_no_load_can_hide_is_recommended(site: CustomSite, tuner: Callable[..., Tuner]) -> None:
    site.spec["preprocess"] |= {"transform": "sample_transforms.Waiting"}
    site.spec["execution"] |= {"workers": 1, "batch_size": 2}
    rounds: list[tuple[int, int]] = []
    watch = Watch(round=lambda *numbers: rounds.append(numbers))
    report = tuner(watch, only={"execution.workers": (1, 8)}).run(site.folder / "study.journal")
    assert [trial.configuration["execution.workers"] for trial in report.trials] == [1, 8]
    (found,) = report.finalists
    assert (found.verdict, report.winner, report.changes) == ("better", 1, {"execution.workers": 8})
    assert 2 < found.metric.low < found.metric.ratio  # eight batches wait side by side in the place of one
    assert rounds[-1] == (found.metric.rounds, found.metric.rounds)
    assert {(item.key, item.value) for item in report.airflow} >= {("inference_pool_slots", "1")}


def test_what_answers_otherwise_or_cannot_run_is_refused(
    site: CustomSite, tuner: Callable[..., Tuner]
) -> None:
    double = str(site.folder / "double.onnx")
    found = tuner(
        only={"preprocess.transform": ("sample_transforms.fails",)}, models=(double,), most_trials=3
    ).run(site.folder / "study.journal")
    others = {tuple(trial.configuration.values()): trial for trial in found.trials[1:]}
    assert {trial.outcome for trial in others.values()} <= {"infeasible", "failed"}
    for (transform, model), trial in others.items():
        assert trial.reason is not None
        if transform.endswith("fails"):
            assert (trial.outcome, "the weights are missing" in trial.reason) == ("failed", True)
        else:
            assert model == double
            assert (trial.outcome, "0 of 20 records" in trial.reason) == ("infeasible", True)
    assert (found.winner, found.finalists, found.airflow) == (None, (), ())


def test_no_configuration_that_breaks_a_limit_is_recommended(
    site: CustomSite, tuner: Callable[..., Tuner]
) -> None:
    limits = Limits(memory_bytes=2**20)
    report = tuner(only=BATCHES, limits=limits, most_trials=2).run(site.folder / "study.journal")
    assert [trial.outcome for trial in report.trials] == ["infeasible", "infeasible"]
    assert "above the limit of 1 MiB" in (report.baseline.reason or "")
    assert report.winner is None


def test_a_pipeline_that_does_not_run_is_not_tuned(site: CustomSite, tuner: Callable[..., Tuner]) -> None:
    site.spec["preprocess"] |= {"transform": "sample_transforms.fails"}
    with pytest.raises(TuningError, match=r"fails with its own settings: .*the weights are missing"):
        tuner(only=BATCHES).run(site.folder / "study.journal")


def test_a_source_without_records_is_not_tuned(site: CustomSite, tuner: Callable[..., Tuner]) -> None:
    for path in site.photos.iterdir():
        path.unlink()
    site.spec["source"] |= {"allow_empty": True}
    with pytest.raises(TuningError, match="no records"):
        tuner(only=BATCHES).run(Path(site.folder / "study.journal"))
