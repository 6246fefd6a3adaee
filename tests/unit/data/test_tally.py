from __future__ import annotations

import pytest

from airflow_provider_aiopt.data.tally import TimeTally


def test_blocks_are_counted_and_their_times_added_up() -> None:
    moments = iter([0.0, 2.0, 10.0, 11.5])
    tally = TimeTally(lambda: next(moments))
    with tally.timed():
        pass
    with pytest.raises(ValueError, match="no"), tally.timed():
        raise ValueError("no")
    assert (tally.count, tally.seconds) == (2, 3.5)
