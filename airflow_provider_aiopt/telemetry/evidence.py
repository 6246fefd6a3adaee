"""What a stage's report holds for the advisor beside its times: counts and settings, no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from airflow_provider_aiopt.data.tensors import IDENTITY_COLUMNS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_NARROW = ("uint8", "int16", "int32")


class _Evidence(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnFacts(_Evidence):
    """A column of numbers that preprocessing stores for inference, by the first batch.

    :param name: its name
    :param dtype: numpy's name of its element type
    :param row_bytes: bytes of one record
    :param holds: the narrowest integer type that holds every value of the first batch exactly; None where
        there is none narrower than *dtype*
    """

    name: str
    dtype: str
    row_bytes: int = Field(ge=1)
    holds: str | None = None


class StageEvidence(_Evidence):
    """Counts and settings that tell causes apart which look alike in the times.

    Seconds of reads, commits and calls are those of all threads: over the time that passed they are the mean
    number under way at once.

    :param settings: the settings in effect by their key in the spec, as far as they bear on the stage
    :param cores: cores that the process may use
    :param host_cores: cores of the host
    :param user_s: CPU time in user mode, with that of children that were waited for; in streaming that of the
        whole process
    :param system_s: the same in the kernel
    :param voluntary_switches: context switches because a thread waited for something
    :param involuntary_switches: context switches because another thread wanted the core
    :param cpu_pressure: share of the time in which a runnable thread of the host waited for a core, 0 to 1;
        None where the kernel keeps no pressure information
    :param setup_s: from the stage's beginning to its first batch; None where it had none
    :param reads: objects or files that were read from the source
    :param read_s: how long that took
    :param write_s: how long batches took to be written
    :param commits: shards that were committed
    :param commit_s: how long that took
    :param calls: calls of the model, in preprocessing of the transform
    :param call_s: how long they took
    :param columns: the columns of numbers that are kept for inference
    """

    settings: dict[str, JsonValue] = Field(default_factory=dict)
    cores: int = Field(default=1, ge=1)
    host_cores: int = Field(default=1, ge=1)
    user_s: float = Field(default=0.0, ge=0)
    system_s: float = Field(default=0.0, ge=0)
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    cpu_pressure: float | None = None
    setup_s: float | None = Field(default=None, ge=0)
    reads: int = Field(default=0, ge=0)
    read_s: float = Field(default=0.0, ge=0)
    write_s: float = Field(default=0.0, ge=0)
    commits: int = Field(default=0, ge=0)
    commit_s: float = Field(default=0.0, ge=0)
    calls: int = Field(default=0, ge=0)
    call_s: float = Field(default=0.0, ge=0)
    columns: tuple[ColumnFacts, ...] = ()


def column_facts(batch: pa.RecordBatch) -> tuple[ColumnFacts, ...]:
    """Return the facts of the columns of numbers in *batch*, but for those that say which records they are.

    :param batch: a batch that preprocessing made
    """
    import pyarrow as pa

    from airflow_provider_aiopt.data.tensors import array_tensor

    found = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        numbers = isinstance(column, pa.FixedShapeTensorArray) or pa.types.is_primitive(field.type)
        if field.name not in IDENTITY_COLUMNS and numbers and len(column):
            values = array_tensor(column)
            if values.dtype.kind in "iuf":
                found.append(
                    ColumnFacts(
                        name=field.name,
                        dtype=values.dtype.name,
                        row_bytes=values.nbytes // len(values),
                        holds=_narrowest(values),
                    )
                )
    return tuple(found)


def _narrowest(values: np.ndarray[Any, Any]) -> str | None:
    import numpy as np

    if values.dtype.itemsize == 1 or not values.size:
        return None
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (np.floor(values) == values).all()):
        return None
    least, most = float(values.min()), float(values.max())
    for name in _NARROW:
        info = np.iinfo(name)
        if np.dtype(name).itemsize < values.dtype.itemsize and info.min <= least and most <= info.max:
            return name
    return None
