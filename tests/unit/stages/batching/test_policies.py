from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.stages.batching.policies import (
    BatchPolicy,
    BucketedBatching,
    FixedBatching,
    ModelBatching,
    fixed_rows,
    next_cut,
)

positive = st.integers(1, 100)
policies = st.one_of(
    positive.map(FixedBatching),
    positive.map(ModelBatching),
    st.lists(positive, min_size=1, unique=True).map(lambda sizes: BucketedBatching(tuple(sorted(sizes)))),
)


@given(policies, st.integers(1, 300))
def test_cuts_cover_each_row_once_and_are_large_enough(policy: BatchPolicy, total: int) -> None:
    covered: list[int] = []
    while len(covered) < total:
        cut = next_cut(policy, len(covered), total)
        covered.extend(range(cut.start, cut.stop))
        assert 1 <= cut.rows <= cut.padded <= policy.size
    assert covered == list(range(total))


@given(policies, st.integers(0, 100))
def test_a_limit_is_kept_or_refused(policy: BatchPolicy, limit: int) -> None:
    limited = policy.limited(limit)
    if limited is None:
        assert limit == 0 or isinstance(policy, ModelBatching)
    else:
        assert 1 <= limited.size <= limit
        assert limited.size <= policy.size
        assert all(limited.padded(rows) >= rows for rows in range(1, limited.size + 1))


def test_a_bucket_takes_the_smallest_size_that_holds_the_rows() -> None:
    policy = BucketedBatching((4, 8, 32))
    assert [policy.padded(rows) for rows in (1, 4, 5, 9, 32)] == [4, 4, 8, 32, 32]


def test_nothing_is_padded_without_buckets() -> None:
    assert next_cut(FixedBatching(32), 32, 45).padded == 13


@pytest.mark.parametrize(
    ("shapes", "rows"),
    [
        ([(None, 3)], None),
        ([(8, 3)], 8),
        ([(8, 3), (8, 4)], 8),
        ([(8, 3), (None, 4)], None),
        ([(8, 3), (4, 4)], None),
        ([()], None),
        ([], None),
    ],
)
def test_a_model_fixes_the_rows_where_all_its_inputs_do(
    shapes: list[tuple[int | None, ...]], rows: int | None
) -> None:
    assert fixed_rows([TensorInfo("x", "float32", shape) for shape in shapes]) == rows
