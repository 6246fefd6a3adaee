from __future__ import annotations

import json
import pickle
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.limited import LimitedThreads
from airflow_provider_aiopt.data.parallel import SerialExecutor
from airflow_provider_aiopt.data.records import Record
from airflow_provider_aiopt.data.tensors import drop_rows, make_batch
from airflow_provider_aiopt.exceptions import RecordTimeoutError, SpecError, TransformError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.stages.ingest import _batch
from airflow_provider_aiopt.stages.transforms.custom import CustomTransform, TransformSource

INPUT = TensorInfo("x", "float32", (None, 2))


def make(name: str, *, parts: int = 1, **arguments: Any) -> CustomTransform:
    source = TransformSource(f"sample_transforms.{name}", json.dumps(arguments), ("sample_transforms",))
    return CustomTransform(source, parts=parts)


def prepare(
    transform: CustomTransform, *payloads: bytes, executor: Executor | None = None
) -> tuple[dict[str, pa.Array], dict[int, str]]:
    columns, errors = transform.prepare(payloads, executor or SerialExecutor())
    return columns, {position: f"{type(error).__name__}: {error}" for position, error in errors.items()}


def feeds(transform: CustomTransform, *payloads: bytes) -> dict[str, np.ndarray]:
    columns, errors = transform.prepare(payloads, SerialExecutor())
    records = _batch([Record(str(number), "", b"", "") for number in range(len(payloads))])
    return dict(transform.feeds(make_batch(drop_rows(records, list(errors)), columns), [INPUT]))


@pytest.mark.parametrize("parts", [1, 2, 3, 99])
def test_payloads_become_columns_and_these_the_models_tensors(parts: int) -> None:
    made = feeds(make("Plain", parts=parts), b"ab", b"bad", b"c", b"d")
    assert list(made) == ["x"]
    assert made["x"].tolist() == [[97, 98], [99, 0], [100, 0]]


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_what_is_wrong_with_a_record_is_said_by_its_position(parts: int) -> None:
    columns, errors = prepare(make("Plain", parts=parts), b"bad", b"ab", b"large", b"odd", b"raise", b"c")
    assert len(columns["values"]) == 2
    assert errors == {
        0: "DecodeError: it says so",
        2: "RecordTooLargeError: too large",
        3: "DecodeError: ValueError: odd",
        4: "DecodeError: The transform raised ZeroDivisionError: division by zero",
    }


def test_a_batch_without_a_good_record_has_no_columns() -> None:
    assert prepare(make("Plain"), b"bad", b"bad") == (
        {},
        {0: "DecodeError: it says so", 1: "DecodeError: it says so"},
    )


@pytest.mark.parametrize("parts", [1, 2])
def test_a_record_that_hangs_is_found_in_its_batch(parts: int) -> None:
    executor = LimitedThreads(2, limit_s=0.3, substitute=lambda: RecordTimeoutError("given up"), max_stuck=9)
    columns, errors = prepare(make("Plain", parts=parts), b"a", b"b", b"wait", b"c", executor=executor)
    assert len(columns["values"]) == 3
    assert errors == {2: "RecordTimeoutError: given up"}


def test_columns_may_be_lists_texts_flags_and_tensors() -> None:
    assert feeds(make("Ragged", parts=2), b"a", b"bcd", b"")["x"].tolist() == [[97, 1], [297, 3], [0, 0]]


def test_parts_are_worked_on_side_by_side() -> None:
    barrier = threading.Barrier(2, timeout=30)

    def meet(self: TransformSource, payloads: Any) -> Any:
        barrier.wait()
        return {"values": pa.array([0] * len(payloads))}, {}

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as executor:
        patch.setattr(TransformSource, "prepare", meet)
        prepare(make("Plain", parts=2), b"a", b"b", executor=executor)


def test_a_source_goes_to_other_processes_without_its_transform() -> None:
    source = TransformSource("sample_transforms.Plain", "{}", ("sample_transforms",))
    assert pickle.loads(pickle.dumps(source.prepare))([b"ab"])[0]["values"].to_pylist() == [[97, 98]]
    assert source.load() is source.load()


def test_the_version_is_that_of_the_transform() -> None:
    assert make("Plain", version="7").version == "custom 1, 7"


@pytest.mark.parametrize(
    ("name", "arguments", "error", "told"),
    [
        ("fails", {}, TransformError, "'sample_transforms.fails' raised OSError: the weights are missing"),
        ("Plain", {"length": 1, "colour": 2}, TransformError, "raised TypeError: .* unexpected keyword"),
        ("returns_nothing", {}, TransformError, "of type NoneType without the method prepare and feeds"),
        ("NoVersion", {}, TransformError, "needs the attribute version, .* found ''"),
        (
            "Missing",
            {},
            SpecError,
            r"^preprocess\.transform: 'sample_transforms\.Missing' cannot be imported",
        ),
        ("os", {}, SpecError, "is not callable: it is a value of type module"),
        ("RecordTooLargeError", {}, SpecError, "is not allowed here; allowed is what lies under"),
    ],
)
def test_what_cannot_be_made_is_refused(
    name: str, arguments: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        make(name, **arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"kind": "text", "prepared": 1},
            "must return a pair of columns and errors; found a value of type str",
        ),
        ({"kind": "single", "prepared": {"values": [1]}}, "must return a pair .* found a value of type dict"),
        ({"prepared": [[1], {}]}, "as mappings; found a value of type list and a value of type dict"),
        ({"prepared": [{"values": [1]}, None]}, "as mappings; .* a value of type NoneType"),
        ({"prepared": [{}, {}]}, "returned no column"),
        (
            {"prepared": [{"values": [1, 2]}, {}]},
            "returned 2 entries .*'values' for 3 payloads of which 0 are bad",
        ),
        ({"prepared": [{"values": [1, 2, 3]}, {"1": "x"}]}, "of which 1 are bad; there must be 2"),
        ({"prepared": [{"values": [1, 2]}, {"3": "x"}]}, "by the payload's position, 0 to 2; found 3"),
        ({"prepared": [{"values": [1, 2]}, {"a": "x"}]}, "by the payload's position, 0 to 2; found 'a'"),
        ({"prepared": [{"id": [1, 2, 3]}, {}]}, "other than id, uri, sha256; found 'id'"),
        ({"prepared": [{"": [1, 2, 3]}, {}]}, "other than id, uri, sha256; found ''"),
        ({"prepared": [{"values": [1, "a", 3]}, {}]}, "in the column 'values', which cannot be stored"),
    ],
)
def test_what_prepare_returns_is_held_to_the_protocol(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(TransformError, match=rf"'sample_transforms\.Answering': prepare .*{told}"):
        prepare(make("Answering", **arguments), b"a", b"b", b"c")


@pytest.mark.parametrize(
    ("fed", "told"),
    [
        (7, "feeds must return tensors by input name; found a value of type int"),
        ({"x": 7}, "feeds must return numpy arrays; found a value of type int for 'x'"),
        ({"x": [2, 2]}, r"feeds returned 'x' of shape \[2, 2\] for a batch of 3"),
        ({"x": []}, r"feeds returned 'x' of shape \[\] for a batch of 3"),
        ("raise", "raised ValueError in feeds, over a batch of 3: .*read-only"),
    ],
)
def test_what_feeds_returns_is_held_to_the_protocol(fed: Any, told: str) -> None:
    with pytest.raises(TransformError, match=told):
        feeds(make("Answering", fed=fed), b"a", b"b", b"c")


def test_batches_of_different_shapes_are_refused() -> None:
    transform = make("Growing")
    prepare(transform, b"a")
    with pytest.raises(
        TransformError, match=r"made the columns values .*\[3\].*, but values .*\[2\].* before"
    ):
        prepare(transform, b"a")
