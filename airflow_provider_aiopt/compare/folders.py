"""Comparing runs that lie in folders, with their results."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_aiopt.compare.agreement import find_agreement
from airflow_provider_aiopt.compare.comparing import compare_runs
from airflow_provider_aiopt.compare.loading import in_rounds, load_runs
from airflow_provider_aiopt.compare.models import Comparison, Settings
from airflow_provider_aiopt.data.folder import FileSystemResolver
from airflow_provider_aiopt.telemetry.reports import RunReport


def compare_folders(
    folders: Mapping[str, str], settings: Settings, *, resolver: FileSystemResolver, paired: bool = False
) -> Comparison:
    """Compare the runs of each folder.

    :param folders: a run's workspace, or a folder of them, by the pipeline's name; the baseline first
    :param settings: what is judged, and how
    :param resolver: how to find file systems
    :param paired: whether the runs were made in turn, so that those at the same place, by their start, belong
        together; runs that were made in rounds always do
    :raises ComparisonError: if there is nothing to compare
    :raises StorageError: if a folder cannot be read
    """
    found = {name: load_runs(uri, resolver=resolver) for name, uri in folders.items()}
    runs = {
        name: sorted(group.values(), key=lambda report: report.started_at) for name, group in found.items()
    }
    return compare_with_results(
        runs, settings, paired=paired or in_rounds(list(found.values())), resolver=resolver
    )


def compare_with_results(
    runs: Mapping[str, list[RunReport]], settings: Settings, *, paired: bool, resolver: FileSystemResolver
) -> Comparison:
    """Compare runs and their results.

    :param runs: by the pipeline's name, the baseline first
    :param settings: what is judged, and how
    :param paired: as :func:`~airflow_provider_aiopt.compare.comparing.compare_runs` takes it
    :param resolver: how to find the results' file systems
    """
    baseline, *names = runs
    agreements = {
        name: found
        for name in names
        if (found := find_agreement(runs[baseline], runs[name], resolver=resolver)) is not None
    }
    return compare_runs(runs, settings, paired=paired, agreements=agreements)
