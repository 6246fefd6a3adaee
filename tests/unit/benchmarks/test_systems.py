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
    from benchmarks.systems import limit, staged, streaming, unaccounted

    outcomes = [run_here(module, pictures) for module in (limit, streaming, staged, unaccounted)]

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


def test_a_digest_does_not_depend_on_the_order():
    assert digest({"a": "cat", "b": "dog"}) == digest({"b": "dog", "a": "cat"}) != digest({"a": "cat"})


def test_every_empty_name_is_accounted_for():
    answer = measure(100)

    assert answer["names"] == 100
    assert answer["seconds"] > 0


def test_each_peer_is_tried_in_several_ways():
    assert set(CANDIDATES) == {"dataloader", "daft", "ray_data"}
    assert all(len(candidates) > 1 for candidates in CANDIDATES.values())
