"""A run with a cache has the results of one without, in either mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_aiopt.runner.fingerprints import cache_kind, stage_settings
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.runtimes.files import find_model
from airflow_provider_aiopt.stages.choose import make_transform
from airflow_provider_aiopt.stages.transforms.tabular import TabularTransform
from airflow_provider_aiopt.telemetry.reports import StageReport

Make = Callable[[Path], Any]
MODES = pytest.mark.parametrize("run", [run_pipeline, run_streaming])


def counts(reports: tuple[StageReport, ...]) -> tuple[int, int, int]:
    """Hits, misses and errors of preprocessing; no other stage has any."""
    found = [(report.cache_hits, report.cache_misses, report.cache_errors) for report in reports]
    assert found[0] == found[2] == found[3] == (0, 0, 0)
    return found[1]


number_pairs = st.lists(
    st.tuples(st.integers(-9, 9), st.one_of(st.integers(-9, 9), st.just("bad"))), min_size=1, max_size=30
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=number_pairs,
    numbers=number_pairs,
    options=st.fixed_dictionaries(
        {
            "execution__shards": st.integers(1, 4),
            "execution__batch_size": st.integers(1, 9),
            "execution__workers": st.integers(1, 4),
        }
    ),
    max_bytes=st.sampled_from([1, 3000, 10**9]),
)
def test_no_cache_a_cold_one_and_a_warm_one_agree(
    make_pipeline: Make,
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[int, Any]],
    numbers: list[tuple[int, Any]],
    *,
    options: dict[str, int],
    max_bytes: int,
) -> None:
    cache = {"cache__uri": str(tmp_path_factory.mktemp("cache")), "cache__max_bytes": max_bytes}
    found = []
    for run, settings_ in [
        (run_pipeline, {}),
        (run_pipeline, cache),  # cold
        (run_streaming, cache),  # knows some or all
        (run_pipeline, cache),
    ]:
        pipeline = make_pipeline(tmp_path_factory.mktemp("run"))
        if settings_ and len(found) == 1:
            pipeline.write_rows(*before)
            run(pipeline.context(**options, **settings_, execution__resume=False))
        pipeline.write_rows(*numbers)
        run(pipeline.context(**options, **settings_, execution__resume=False))
        found.append((pipeline.results(), [(bad.id, bad.message) for bad in pipeline.quarantine()]))
    assert found[1:] == [found[0]] * 3


@MODES
def test_a_second_run_prepares_only_what_was_bad(
    run: Any, make_pipeline: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[bytes] = []
    prepare = TabularTransform.prepare

    def watch(transform: TabularTransform, payloads: list[bytes], executor: Any) -> Any:
        prepared.extend(payloads)
        return prepare(transform, payloads, executor)

    monkeypatch.setattr(TabularTransform, "prepare", watch)
    found = []
    for name in ("first", "second"):
        pipeline = make_pipeline(tmp_path / name)
        pipeline.write_rows((1, 2), (3, "bad"), (5, 6))
        prepared.clear()
        found.append(counts(run(pipeline.context(cache__uri=str(tmp_path / "cache")))))
        found.append([*prepared])
    assert found[0] == (0, 3, 0)
    assert found[2] == (2, 1, 0)
    assert found[3] == [found[1][1]]


@MODES
def test_the_modes_share_a_cache(run: Any, pipeline: Any, tmp_path: Path) -> None:
    for first in (run_pipeline, run_streaming):
        uri = str(tmp_path / "cache" / first.__name__)
        first(pipeline.context(cache__uri=uri, execution__resume=False))
        assert counts(run(pipeline.context(cache__uri=uri, execution__resume=False))) == (6, 0, 0)


@MODES
def test_a_cache_that_fails_costs_a_count_and_no_record(run: Any, pipeline: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    reports = run(pipeline.context(cache__uri=str(tmp_path / "cache")))

    assert counts(reports) == (0, 6, 1)
    assert len(pipeline.results()) == 6


def test_without_a_cache_nothing_is_reported_of_it(pipeline: Any) -> None:
    assert counts(pipeline.run()) == (0, 0, 0)
    assert not [item for item in pipeline.metrics.sent if "cache" in item.metric.name]


def test_what_it_did_goes_out_as_metrics(pipeline: Any, tmp_path: Path) -> None:
    pipeline.run(cache__uri=str(tmp_path / "cache"))
    sent = {
        item.metric.name.rpartition(".")[2]: item.value
        for item in pipeline.metrics.sent
        if "cache" in item.metric.name
    }
    assert sent == {"cache_hits": 0, "cache_misses": 6, "cache_errors": 0}


def test_no_fingerprint_knows_of_it(pipeline: Any, tmp_path: Path) -> None:
    run_pipeline(pipeline.context())
    reports = run_pipeline(pipeline.context(cache__uri=str(tmp_path / "cache")))

    assert reports[-1].resumed_items == 6


def test_its_keys_know_the_settings_and_the_version(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(**overrides: Any) -> str:
        spec = pipeline.context(**overrides).spec
        files = find_model(spec.model)
        assert stage_settings(spec, files, "preprocess")
        return cache_kind(spec, files, make_transform(spec, files))

    same = kind()
    assert kind(execution__batch_size=3, cache__uri="x") == same
    assert kind(preprocess__mean=[1, 2]) != same
    monkeypatch.setattr(TabularTransform, "version", "tabular 2")
    assert kind() != same
