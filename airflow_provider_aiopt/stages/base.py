"""What every stage is to a runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.exceptions import RecordError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class StageOutput:
    """What became of one batch; no record is in neither part or in both.

    :param batch: the good records with the stage's data columns
    :param bad: the records that the stage found bad
    """

    batch: pa.RecordBatch
    bad: tuple[BadRecord, ...] = ()


class Stage(Protocol):
    """A stage that has everything it needs loaded."""

    def process(self, batch: pa.RecordBatch) -> StageOutput:
        """Work on one batch."""
        ...

    def close(self) -> None:
        """Release threads and other resources."""
        ...


def bad_records(
    stage: str, batch: pa.RecordBatch, errors: Mapping[int, RecordError]
) -> tuple[BadRecord, ...]:
    """Describe the rows of *batch* that *errors* were raised for.

    :param errors: by row number
    """
    ids, uris = batch.column("id"), batch.column("uri")
    return tuple(
        BadRecord.from_error(ids[row].as_py(), uris[row].as_py(), stage, error)
        for row, error in sorted(errors.items())
    )
