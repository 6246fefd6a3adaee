"""How the work is cut and how much of it runs at once."""

from __future__ import annotations

from pydantic import Field

from airflow_provider_aiopt.spec.base import SpecModel


class ExecutionSpec(SpecModel):
    """Sizes and limits of a run.

    :param shards: parts that the records are split into; in Airflow each becomes one mapped task per stage
    :param batch_size: records per inference call
    :param workers: threads that read and decode side by side; default: one for each core that the process
        may use
    :param max_bytes_in_flight: bytes of records that streaming holds at once, beside its batches' tensors
    :param max_bad_fraction: share of the run's records that may be quarantined, 0 to 1, before the run fails
    :param resume: whether a retry goes on after the shards that an earlier attempt finished
    """

    shards: int = Field(default=1, ge=1, le=99_999)
    batch_size: int = Field(default=32, ge=1)
    workers: int | None = Field(default=None, ge=1)
    max_bytes_in_flight: int = Field(default=256 * 1024 * 1024, ge=1)
    max_bad_fraction: float = Field(default=1.0, ge=0, le=1)
    resume: bool = True
