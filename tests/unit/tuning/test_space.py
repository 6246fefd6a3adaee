from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.exceptions import TuningError
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning.space import (
    Machine,
    Sample,
    advised,
    answers_key,
    build_space,
    changes_answers,
    draw_configurations,
    guesses,
    is_measurable,
    is_oversubscribed,
    overrides,
    shard_records,
)

MACHINE = Machine(cores=4, memory_bytes=8 * 2**30)
SAMPLE = Sample(records=1000, total=1000)


def values(spec: PipelineSpec, **more: Any) -> dict[str, tuple[Any, ...]]:
    space = build_space(spec, more.pop("machine", MACHINE), more.pop("sample", SAMPLE), **more)
    return {item.key: item.values for item in space.dimensions}


def test_what_is_searched_for_local_files_on_a_cpu(make_spec: Callable[..., PipelineSpec]) -> None:
    assert values(make_spec()) == {
        "execution.batch_size": (1, 2, 4, 8, 16, 32),
        "execution.workers": (1, 2, 4, None, 8),
        "model.threads": (None, 2, 4),
        "execution.max_bytes_in_flight": (2**22, 2**25, 2**28),
        "execution.shards": (1, 4, 16, 64),
    }


def test_remote_files_may_be_read_by_more_threads(make_spec: Callable[..., PipelineSpec]) -> None:
    assert values(make_spec(source__uri="s3://bucket/photos"))["source.readers"] == (None, 8, 16, 32)


def test_on_a_device_the_hosts_threads_are_not_searched(make_spec: Callable[..., PipelineSpec]) -> None:
    assert "model.threads" not in values(make_spec(), machine=Machine(4, device=True))


def test_only_shards_that_the_sample_can_tell_apart_are_searched(
    make_spec: Callable[..., PipelineSpec],
) -> None:
    sample = Sample(records=1000, total=100_000)
    assert values(make_spec(execution__shards=3), sample=sample).get("execution.shards") == (1, 3)
    assert "execution.shards" not in values(make_spec(), sample=sample)
    assert "execution.shards" not in values(make_spec(execution__shard_bytes=10_000))


@given(
    cores=st.integers(1, 64),
    records=st.integers(1, 5000),
    batch=st.integers(1, 500) | st.just("auto"),
    workers=st.none() | st.integers(1, 200),
    threads=st.none() | st.integers(1, 64),
    shards=st.integers(1, 300),
)
def test_every_configuration_is_a_valid_spec_and_the_users_own_is_among_them(
    *, cores: int, records: int, batch: Any, workers: int | None, threads: int | None, shards: int
) -> None:
    own = {
        "source": {"uri": "photos"},
        "model": {"uri": "model.onnx", "threads": threads},
        "execution": {"batch_size": batch, "workers": workers, "shards": shards},
    }
    spec, machine, sample = load_spec(own), Machine(cores), Sample(records, records * 3)
    space = build_space(spec, machine, sample)
    assert overrides(spec, space.baseline) == {}
    assert space.at(space.indices(space.baseline)) == space.baseline
    for item in space.dimensions:
        assert len(set(item.values)) == len(item.values) > 1
        for value in item.values:
            changed = {**space.baseline, item.key: value}
            assert load_spec(spec, overrides=overrides(spec, changed))
    for guess in guesses(space, machine):
        assert guess != space.baseline
        assert space.at(space.indices(guess)) == guess


def test_what_depends_on_the_batch_size_changes_with_it(make_spec: Callable[..., PipelineSpec]) -> None:
    padded = make_spec(execution__batch_size=32, execution__batching={"pad_to": [8, 32]})
    for size, pads in ((16, [8, 16]), (4, [4]), (64, [8, 32, 64])):
        changes = overrides(padded, {"execution.batch_size": size})
        assert changes["execution.batching.pad_to"] == pads
        assert load_spec(padded, overrides=changes).execution.batch_size == size
    bounded = make_spec(execution__batch_size="auto", execution__batching={"max_latency_ms": 50})
    changes = overrides(bounded, {"execution.batch_size": 16})
    assert load_spec(bounded, overrides=changes).execution.batching.max_latency_ms is None


def test_another_model_brings_its_runtime_and_not_the_hash_of_the_first(
    make_spec: Callable[..., PipelineSpec],
) -> None:
    spec = make_spec(model__sha256="0" * 64)
    changes = overrides(spec, {"model.uri": "other.pt2"})
    assert changes == {"model.uri": "other.pt2", "model.sha256": None, "model.runtime": "torch"}
    assert load_spec(spec, overrides=changes).model.runtime == "torch"


def test_only_what_the_model_and_its_preprocessing_are_changes_answers() -> None:
    baseline = {"model.uri": "a.onnx", "model.threads": None, "execution.batch_size": 8}
    faster = {**baseline, "model.threads": 2, "execution.batch_size": 1}
    other = {**baseline, "model.uri": "b.onnx"}
    assert not changes_answers(faster, baseline)
    assert changes_answers(other, baseline)
    assert answers_key(faster) == answers_key(baseline) != answers_key(other)
    assert changes_answers({"preprocess.scaled_decode": True}, {"preprocess.scaled_decode": False})


@pytest.mark.parametrize(
    ("workers", "threads", "over"),
    [(None, None, False), (4, 1, False), (2, 2, False), (None, 2, True), (8, None, True), (1, 8, True)],
)
def test_more_threads_than_cores(
    make_spec: Callable[..., PipelineSpec], workers: int | None, threads: int | None, over: bool
) -> None:
    configuration = {"execution.workers": workers, "model.threads": threads}
    assert is_oversubscribed(configuration, make_spec(), MACHINE) is over
    assert not is_oversubscribed(configuration, make_spec(), Machine(4, device=True))


def test_a_sample_must_fill_all_threads_twice(make_spec: Callable[..., PipelineSpec]) -> None:
    configuration = {"execution.batch_size": 32, "execution.workers": 4}
    assert is_measurable(configuration, make_spec(), MACHINE, Sample(256, 256))
    assert not is_measurable(configuration, make_spec(), MACHINE, Sample(255, 255))


def test_the_first_guess_is_what_was_measured_to_be_good(make_spec: Callable[..., PipelineSpec]) -> None:
    spec = make_spec(execution__batch_size=1, execution__workers=1, model__threads=4)
    first = guesses(build_space(spec, MACHINE, SAMPLE), MACHINE)[0]
    assert (first["execution.batch_size"], first["execution.workers"], first["model.threads"]) == (
        8,
        None,
        None,
    )
    device = Machine(4, device=True)
    assert guesses(build_space(spec, device, SAMPLE), device)[0]["execution.batch_size"] == 32


def test_recommendations_become_the_nearest_configurations(make_spec: Callable[..., PipelineSpec]) -> None:
    spec = make_spec(execution__batch_size=1, execution__workers=1, model__threads=4)
    space = build_space(spec, MACHINE, SAMPLE)
    changes = [
        {"execution.batch_size": 12, "cache.uri": "redis://host"},
        {"execution.workers": 3, "execution.batch_size": 32, "model.threads": 1},
    ]
    both, first = advised(space, changes)
    assert both == {
        **space.baseline,
        "execution.batch_size": 16,
        "execution.workers": 4,
        "model.threads": None,  # which is 1
    }
    assert first == {**space.baseline, "execution.batch_size": 16}
    assert advised(space, []) == []
    assert advised(space, [{"execution.workers": 1, "model.device": "cuda"}]) == []


def test_a_small_space_is_drawn_whole(make_spec: Callable[..., PipelineSpec]) -> None:
    space = build_space(make_spec(), MACHINE, SAMPLE)
    drawn = [tuple(item.values()) for item in draw_configurations(space, random.Random(1))]
    assert len(drawn) == len(set(drawn)) == space.size
    assert drawn != [tuple(item.values()) for item in draw_configurations(space, random.Random(2))]


def test_keys_of_ones_own_replace_the_others(make_spec: Callable[..., PipelineSpec]) -> None:
    found = values(make_spec(), only={"execution.batch_size": (2, 16), "model.device": ("auto", "cpu")})
    assert found == {"execution.batch_size": (2, 8, 16), "model.device": ("auto", "cpu")}


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"execution.batch_size": (8,)}, "nothing to search"),
        ({"execution.batchsize": (1, 2)}, "no batchsize"),
    ],
)
def test_nothing_to_search(
    make_spec: Callable[..., PipelineSpec], only: dict[str, tuple[Any, ...]], message: str
) -> None:
    with pytest.raises(TuningError, match=message):
        build_space(make_spec(), MACHINE, SAMPLE, only=only)


def test_a_shards_records_are_those_of_the_whole_source() -> None:
    assert shard_records(8, Sample(records=100, total=10_001)) == 1251
