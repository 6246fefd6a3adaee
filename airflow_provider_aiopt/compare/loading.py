"""Reading runs that have been made already."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.run_report import REPORTS, load_run_report

ROUND = re.compile(r"round-\d+")
"""How the runs of a comparison are named."""


def round_name(number: int) -> str:
    """Return the name of a round's run.

    :param number: the round, from 1 on
    """
    return f"round-{number:03d}"


def load_runs(uri: str, *, resolver: FileSystemResolver) -> dict[str, RunReport]:
    """Return the runs below a folder, by name: its own, where it is a run's workspace, else its sub-folders'.

    :param uri: the folder or URL
    :param resolver: how to find its file system
    :raises ComparisonError: if there is no run
    :raises ReportError: if a report is none
    """
    folder = Folder.open(uri.rstrip("/"), resolver=resolver)
    names = folder.folders()
    if REPORTS in names:
        return {folder.uri.rsplit("/", 1)[-1]: load_run_report(folder)}
    found = {
        name: usable_run(load_run_report(folder.child(name)), folder.uri_of(name))
        for name in names
        if REPORTS in folder.child(name).folders()
    }
    if not found:
        raise ComparisonError(
            f"There are no runs in {uri}: it is neither a run's workspace nor a folder of workspaces, and no "
            ".yaml, .yml or .json file with a spec"
        )
    return found


def usable_run(report: RunReport, uri: str) -> RunReport:
    """Return *report* if its times are those of a whole run.

    :param report: a run
    :param uri: where it lies, for the message
    :raises ComparisonError: if it failed, or took over what an earlier attempt had done
    """
    failed = [stage.stage for stage in report.stages if stage.failed]
    resumed = [stage.stage for stage in report.stages if stage.resumed]
    if failed or resumed:
        what = f"failed in {', '.join(failed)}" if failed else f"was resumed in {', '.join(resumed)}"
        raise ComparisonError(
            f"The run {uri} {what}: its times are not those of a whole run. Remove it, or run it anew"
        )
    return report


def in_turns(folder: Folder) -> bool:
    """Tell whether a folder has runs of a comparison.

    :param folder: perhaps a variant's
    """
    return any(ROUND.fullmatch(name) for name in folder.folders())


def in_rounds(groups: Sequence[dict[str, RunReport]]) -> bool:
    """Tell whether runs come from the rounds of one comparison, so that those of one name belong together.

    :param groups: the runs of each pipeline, by name
    """
    names = {tuple(sorted(group)) for group in groups}
    return len(names) == 1 and all(ROUND.fullmatch(name) for name in next(iter(names)))
