"""The run report for programs: CSV with one line per stage, and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.reports import RunReport, StageSummary

CSV_COLUMNS: dict[str, Callable[[StageSummary], object]] = {
    "Stage": lambda stage: stage.stage,
    "Duration_s": lambda stage: stage.duration_s,
    "Share": lambda stage: stage.share,
    "Items": lambda stage: stage.items,
    "Items_per_s": lambda stage: stage.items_per_s,
    "Tasks": lambda stage: stage.tasks,
    "Task_s": lambda stage: stage.task_s,
    "Busy_s": lambda stage: stage.busy_s,
    "Wait_input_s": lambda stage: stage.wait_input_s,
    "Wait_output_s": lambda stage: stage.wait_output_s,
    "Model_load_s": lambda stage: stage.model_load_s,
    "Quarantined": lambda stage: stage.quarantined,
    "Bytes_in": lambda stage: stage.bytes_in,
    "Bytes_out": lambda stage: stage.bytes_out,
    "CPU_utilisation": lambda stage: stage.cpu_utilisation,
    "Peak_memory_bytes": lambda stage: stage.peak_memory_bytes,
    "Scheduled_s": lambda stage: stage.scheduled_s,
    "Queued_s": lambda stage: stage.queued_s,
    "Bottleneck": lambda stage: int(stage.bottleneck),
    "Resumed": lambda stage: stage.resumed,
    "Failed": lambda stage: stage.failed,
    "Cache_hits": lambda stage: stage.cache_hits,
    "Cache_misses": lambda stage: stage.cache_misses,
    "Cache_errors": lambda stage: stage.cache_errors,
    "Usual_s": lambda stage: stage.usual_s,
    "Change": lambda stage: stage.change,
}
"""The columns in their order, which only ever grows at its end.

Each is the field of that name of :class:`~airflow_provider_aiopt.telemetry.reports.StageSummary`: times in
seconds and shares from 0 to 1 at full precision, sizes in bytes, ``Bottleneck`` as 1 or 0.  ``Scheduled_s``
and ``Queued_s`` are empty where Airflow's own times are not known, ``Usual_s`` where there are too few
earlier runs, and ``Change`` where nothing has changed.
"""


def csv_text(report: RunReport) -> str:
    """Return the stages of *report* as CSV with the header :data:`CSV_COLUMNS`.

    :param report: a run report
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows([value(stage) for value in CSV_COLUMNS.values()] for stage in report.stages)
    return stream.getvalue()


def json_text(report: RunReport) -> str:
    """Return *report* as JSON, one key for each of its fields.

    :param report: a run report
    """
    return report.model_dump_json(indent=2) + "\n"


def write_csv(report: RunReport, path: Path | str) -> None:
    """Write the stages of *report* to a CSV file, see :func:`csv_text`.

    :param report: a run report
    :param path: the file; its folder is made where it is missing
    :raises StorageError: if it cannot be written
    """
    write_bytes(path, csv_text(report).encode())


def write_json(report: RunReport, path: Path | str) -> None:
    """Write *report* to a JSON file, see :func:`json_text`.

    :param report: a run report
    :param path: the file; its folder is made where it is missing
    :raises StorageError: if it cannot be written
    """
    write_bytes(path, json_text(report).encode())


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a local file whole or not at all.

    :param path: the file; its folder is made where it is missing
    :param content: its bytes
    :raises StorageError: if it cannot be written
    """
    target = Path(path).absolute()
    Folder.open(str(target.parent)).write(target.name, content)
