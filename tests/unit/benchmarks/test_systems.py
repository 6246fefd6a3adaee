from __future__ import annotations

import pytest

from benchmarks import photographs
from benchmarks.harness import System, agreement, run_system
from benchmarks.models import INT8
from benchmarks.systems.candidates import CANDIDATES
from benchmarks.systems.names import measure
from benchmarks.systems.work import Outcome, Work, digest

COUNT = 4


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photographs, "CACHE", tmp_path_factory.mktemp("bench"))
        yield photographs.photographs(COUNT)


def run_here(module, pictures) -> Outcome:
    return module.run(Work(pictures, INT8, {"batch_size": 2}))


def test_the_limit_and_both_modes_give_the_same_labels(pictures):
    from benchmarks.systems import inference, limit, staged, streaming

    outcomes = [run_here(module, pictures) for module in (limit, streaming, staged, inference)]

    assert len(outcomes[0].labels) == COUNT
    assert all(agreement(outcome.labels, outcomes[0].labels) == 1.0 for outcome in outcomes)
    for outcome in outcomes:
        assert outcome.seconds > 0
        assert outcome.scores == pytest.approx(outcomes[0].scores, abs=1e-5)


def test_a_system_answers_on_its_last_line(pictures, tmp_path):
    run = run_system(System("limit", "limit", INT8), pictures, labels_to=tmp_path / "labels.json")

    assert run.answer["images"] == COUNT
    assert run.images_per_s > run.whole_images_per_s > 0
    assert run.answer["peak_memory_bytes"] > 0
    assert set(run.answer["cpu_s"]) == {"decode", "normalise", "inference"}
    assert (tmp_path / "labels.json").exists()


def test_a_cached_run_decodes_nothing(pictures, tmp_path):
    from benchmarks.systems import streaming

    work = Work(pictures, INT8, {"batch_size": 2, "cache": str(tmp_path)})

    hits = [streaming.run(work).details["stages"]["preprocess"]["cache_hits"] for _ in range(2)]

    assert hits == [0, COUNT]


def test_pairs_differ_by_the_accounting_alone(pictures, monkeypatch):
    from benchmarks.systems import accounting

    order = []

    def run(work, statsd, *, accounted):
        order.append(accounted)
        return {"seconds": 1.0, "cpu_s": 2.0 if accounted else 1.0}

    monkeypatch.setattr(accounting, "_run", run)

    answer = accounting.measure(Work(pictures, INT8), "127.0.0.1:1", 2)

    assert order[1:] == [True, False, False, True] * 2, "the first is a warm-up"
    assert len(answer["pairs"]) == 4
    assert all(pair["accounted"]["cpu_s"] == 2 * pair["unaccounted"]["cpu_s"] for pair in answer["pairs"])


def test_without_accounting_no_stage_is_timed(pictures):
    from airflow_provider_aiopt.runner.streaming import run_streaming
    from benchmarks.systems import accounting
    from benchmarks.systems.package import run_package

    work = Work(pictures, INT8, {"batch_size": 2})
    timed = run_package(work, run_streaming).details["stages"]["preprocess"]["busy_s"]
    with accounting.patch(accounting.RECORDER, accounting.UntimedRecorder):
        untimed = run_package(work, run_streaming).details["stages"]["preprocess"]["busy_s"]

    assert timed > 0
    assert untimed == 0


def test_a_digest_does_not_depend_on_the_order():
    assert digest({"a": "cat", "b": "dog"}) == digest({"b": "dog", "a": "cat"}) != digest({"a": "cat"})


def test_every_empty_name_is_accounted_for():
    answer = measure(100)

    assert answer["names"] == 100
    assert answer["seconds"] > 0


def test_each_peer_is_tried_in_several_ways():
    assert set(CANDIDATES) == {"dataloader_tuned", "daft_tuned", "ray_data_tuned"}
    assert all(len(candidates) > 1 for candidates in CANDIDATES.values())
