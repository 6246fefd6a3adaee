from __future__ import annotations

import numpy as np
import pyarrow as pa

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.data.tensors import tensor_array
from airflow_provider_aiopt.telemetry.gathering import EvidenceTally
from airflow_provider_aiopt.telemetry.resources import ResourceUse


def test_only_the_first_batch_says_how_long_it_took_to_get_ready() -> None:
    moments = iter([10.0, 12.5])
    tally = EvidenceTally(lambda: next(moments))
    tally.first_batch()
    tally.first_batch()
    assert tally.evidence(ResourceUse()).setup_s == 2.5


def test_without_a_batch_nothing_says_so() -> None:
    assert EvidenceTally().evidence(ResourceUse()).setup_s is None


def test_what_is_counted_is_in_the_evidence() -> None:
    tally = EvidenceTally()
    for counted in (tally.reads, tally.writes, tally.commits, tally.calls):
        counted.count, counted.seconds = 3, 1.5
    tally.settings = {"execution.workers": 2}
    found = tally.evidence(ResourceUse())
    assert (found.reads, found.commits, found.calls) == (3, 3, 3)
    assert (found.read_s, found.write_s, found.commit_s, found.call_s) == (1.5, 1.5, 1.5, 1.5)
    assert found.settings == {"execution.workers": 2}
    assert found.cores == usable_cores()


def test_the_first_batch_with_rows_shows_the_columns() -> None:
    tally = EvidenceTally()
    for rows, dtype in ((0, np.float32), (2, np.float64), (2, np.int32)):
        tally.prepared(pa.RecordBatch.from_arrays([tensor_array(np.ones((rows, 3), dtype))], names=["x"]))
    (column,) = tally.evidence(ResourceUse()).columns
    assert (column.dtype, column.holds) == ("float64", "uint8")
