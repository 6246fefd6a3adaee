"""Whether two runs give the same answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from airflow_provider_aiopt.compare.models import Agreement, Comparison
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder
from airflow_provider_aiopt.data.shards import read_parquet
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.telemetry.reports import RunReport

MOST_RECORDS = 100_000
"""Of the baseline whose answers are kept in memory to compare with; further ones are not looked at."""

RELATIVE_TOLERANCE = 1e-3
"""Of vectors: the length of their difference over the length of the longer one.

Batch size, threads and precision change the order of sums, and with it the last bits of a float32.
"""


def find_agreement(
    baseline: Sequence[RunReport], variant: Sequence[RunReport], *, resolver: FileSystemResolver
) -> Agreement | None:
    """Compare the results of the last run of each, and the accounts of all.

    :param baseline: the baseline's runs
    :param variant: the variant's runs
    :param resolver: how to find the file systems of the results
    :returns: None where one of the two has no results to look at
    :raises StorageError: if results cannot be read
    """
    first, second = baseline[-1], variant[-1]
    if first.results_uri is None or second.results_uri is None:
        return None
    ours = Folder.open(first.results_uri, resolver=resolver)
    theirs = Folder.open(second.results_uri, resolver=resolver)
    if not (_has_results(ours) and _has_results(theirs)):
        return None
    records, shared, same = _count(ours, theirs)
    return Agreement(
        balanced=all(map(is_balanced, (*baseline, *variant))) and first.records_in == second.records_in,
        records=records,
        shared=shared,
        same=same,
        quarantined=(first.quarantined, second.quarantined),
    )


def is_balanced(report: RunReport) -> bool:
    """Tell whether every record of a run is accounted for.

    :param report: a finished run
    """
    return report.records_in == report.results + report.quarantined


def check_agreement(comparison: Comparison, least: float) -> None:
    """Refuse a comparison of pipelines that do different work.

    :param comparison: what was found
    :param least: the share of the records that both must answer alike, 0 to 1
    :raises ComparisonError: if a variant's results differ more, or if records are missing
    """
    for variant in comparison.variants:
        found = variant.agreement
        if found is None:
            continue
        if not found.balanced:
            raise ComparisonError(
                f"The runs of {comparison.baseline} and {variant.name} do not account for the same records. "
                "A source that changes meanwhile cannot be compared; give both the same one"
            )
        if found.share < least:
            raise ComparisonError(
                f"{variant.name} answers {found.same} of {found.records} records as {comparison.baseline} "
                f"does, {found.share:.1%}; at least {least:.1%} must be the same. Its times are those of "
                "other work; where that is meant, lower --min-agreement (min_agreement of the operator)"
            )


def _has_results(folder: Folder) -> bool:
    return any(name.endswith(".parquet") for name in folder.names())


def _count(ours: Folder, theirs: Folder) -> tuple[int, int, int]:
    """Return how many records there are, how many are in both, and how many of these are the same."""
    known: dict[str, Any] = {}
    for record, answer in _answers(ours):
        if len(known) == MOST_RECORDS:
            break
        known[record] = answer
    records, shared, same = len(known), 0, 0
    cut = records == MOST_RECORDS
    for record, answer in _answers(theirs):
        if record in known:
            shared += 1
            same += _alike(known[record], answer)
        elif not cut:
            records += 1
    return records, shared, same


def _answers(folder: Folder) -> Iterator[tuple[str, Any]]:
    """Yield each record's id with its label, or with its vector where there are no labels."""
    for name in folder.names():
        if not name.endswith(".parquet"):
            continue
        table = read_parquet(folder.read(name))
        column = next((key for key in ("label", "embedding", "output") if key in table.column_names), None)
        answers = table.column(column).to_pylist() if column else [None] * table.num_rows
        yield from zip(table.column("id").to_pylist(), answers, strict=True)


def _alike(first: Any, second: Any) -> bool:
    if not isinstance(first, list) or not isinstance(second, list):
        return bool(first == second)
    if len(first) != len(second):
        return False
    import numpy as np

    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    length = max(float(np.linalg.norm(one)), float(np.linalg.norm(other)))
    return float(np.linalg.norm(one - other)) <= RELATIVE_TOLERANCE * length
