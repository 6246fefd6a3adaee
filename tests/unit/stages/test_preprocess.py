from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.limited import LimitedThreads
from airflow_provider_aiopt.data.parallel import SerialExecutor
from airflow_provider_aiopt.data.processes import LimitedProcesses
from airflow_provider_aiopt.data.records import BadRecord, Record
from airflow_provider_aiopt.exceptions import DecodeError, ModelInputError, RecordError
from airflow_provider_aiopt.stages.ingest import _batch
from airflow_provider_aiopt.stages.preprocess import PreprocessStage, decoding_executor


def stored(*payloads: bytes) -> pa.RecordBatch:
    return _batch(
        [
            Record.from_payload(f"{number}.txt", f"file:///{number}", payload)
            for number, payload in enumerate(payloads)
        ]
    )


class Lengths:
    """A transform to the length of a payload, for which an empty one is bad."""

    def prepare(
        self, payloads: Sequence[bytes], executor: Executor
    ) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        lengths = list(executor.map(len, payloads))
        errors: dict[int, RecordError] = {
            index: DecodeError("nothing") for index, length in enumerate(lengths) if not length
        }
        return {"length": pa.array([length for length in lengths if length])}, errors

    def feeds(self, *_: Any) -> Any:
        raise NotImplementedError


def test_good_records_keep_their_identity_and_bad_ones_go_with_the_reason() -> None:
    payloads = [b"one", b"", b"three"]
    records = [
        Record.from_payload(f"{number}.txt", f"file:///{number}", payload)
        for number, payload in enumerate(payloads)
    ]
    stage = PreprocessStage(Lengths(), executor=SerialExecutor())

    output = stage.process(_batch(records))
    stage.close()

    assert output.batch.to_pylist() == [
        {"id": record.id, "uri": record.uri, "sha256": record.sha256, "length": len(record.payload)}
        for record in (records[0], records[2])
    ]
    assert output.bad == (BadRecord("1.txt", "file:///1", "preprocess", "DecodeError", "nothing"),)


class Buggy(Lengths):
    """Raises for the whole batch where a payload says so."""

    def prepare(
        self, payloads: Sequence[bytes], executor: Executor
    ) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        if b"bug" in payloads:
            raise ZeroDivisionError("division by zero")
        if b"memory" in payloads:
            raise MemoryError
        if b"model" in payloads:
            raise ModelInputError("no such input")
        return super().prepare(payloads, executor)


@pytest.mark.parametrize("payloads", [[b"bug"], [b"bug", b"bug"], [b"one", b"bug", b"", b"three", b"bug"]])
def test_a_transform_that_raises_costs_no_record_but_the_one_it_raised_for(payloads: list[bytes]) -> None:
    output = PreprocessStage(Buggy(), executor=SerialExecutor()).process(stored(*payloads))

    assert output.batch.column("length").to_pylist() == [
        len(payload) for payload in payloads if payload not in (b"bug", b"")
    ]
    assert [(record.id, record.error_class, record.message) for record in output.bad] == [
        (f"{number}.txt", "DecodeError", said)
        for number, payload in enumerate(payloads)
        if (
            said := {b"bug": "The transform raised ZeroDivisionError: division by zero", b"": "nothing"}.get(
                payload
            )
        )
    ]


@pytest.mark.parametrize(("payload", "error"), [(b"memory", MemoryError), (b"model", ModelInputError)])
def test_what_is_no_fault_of_a_record_ends_the_stage(payload: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        PreprocessStage(Buggy(), executor=SerialExecutor()).process(stored(b"one", payload))


def test_records_are_decoded_on_threads_that_fit_the_limit_and_the_mode() -> None:
    kinds = [
        type(decoding_executor(2, limit_s=limit_s, serial=serial))
        for limit_s in (None, 1.0)
        for serial in (False, True)
    ]

    assert kinds == [ThreadPoolExecutor, SerialExecutor, LimitedThreads, LimitedThreads]


@pytest.mark.parametrize("limit_s", [None, 1.0])
def test_or_in_processes_which_start_when_they_are_needed(limit_s: float | None) -> None:
    with decoding_executor(2, limit_s=limit_s, initializer=lambda: None) as executor:
        assert type(executor) is LimitedProcesses
