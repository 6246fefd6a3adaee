from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import pyarrow as pa

from airflow_provider_aiopt.data.parallel import SerialExecutor
from airflow_provider_aiopt.data.records import BadRecord, Record
from airflow_provider_aiopt.exceptions import DecodeError, RecordError
from airflow_provider_aiopt.stages.ingest import _batch
from airflow_provider_aiopt.stages.preprocess import PreprocessStage


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
