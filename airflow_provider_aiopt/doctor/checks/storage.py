"""How fast the source and the folder of workspaces are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.consumption import Consumption, find_consumption
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok, warning
from airflow_provider_aiopt.doctor.storage import (
    MIB,
    READERS,
    SourceSpeed,
    WorkspaceSpeed,
    measure_source,
    measure_workspace,
)
from airflow_provider_aiopt.exceptions import ReportError, StorageError

_CORE_PER_S = 80.0
"""Photographs that a core prepares in a second: two of them 158, by docs/performance.md."""

_NEAR_LIMIT = 0.7
"""A run that takes more than this share of what a source gives mostly waits for it."""

_SLOW_WRITE_S = 0.1
"""With three files for each shard and stage, 64 shards then spend over a minute on committing."""

_COMMITS = 64 * 4 * 3
_SLOW_BYTES_PER_S = 20 * MIB
"""130 prepared photographs a second: less than two cores prepare."""

_LITTLE_ROOM = 1024 * MIB
_LIMIT_S = 60.0


def _run_source(context: CheckContext) -> Iterator[Finding | Skip]:
    addresses = context.addresses
    if addresses.source is None:
        yield Skip("no source is known: give --source URI or --spec FILE")
        return
    try:
        filesystem, path = context.resolver(
            addresses.source,
            connection=addresses.source_connection,
            storage_options=addresses.source_options,
        )
        speed = measure_source(filesystem, path, addresses.source)
    except StorageError as fault:
        yield error(addresses.source, str(fault), "Check the URL, the connection and its permissions")
        return
    if speed is None:
        yield warning(
            addresses.source, "has no files", "Check the URL; a folder that is filled later is fine"
        )
        return
    try:
        consumed = find_consumption(addresses.run, addresses.work_dir, context.resolver)
    except (ReportError, StorageError) as fault:
        yield warning("run report", str(fault), "Name another run with --run FOLDER")
        consumed = None
    yield judge_source(addresses.source, speed, consumed, usable_cores())


def judge_source(uri: str, speed: SourceSpeed, consumed: Consumption | None, cores: int) -> Finding:
    """Judge a source's speed beside what a run took of it, else beside what cores can take.

    :param uri: the source
    :param consumed: what a run took; None where there is none
    :param cores: cores that prepare records
    """
    evidence = (
        f"listed {speed.names} files in {speed.list_s:.2f} s; one file at a time {speed.read}; "
        f"{speed.readers} at a time {speed.files_per_s:.0f} files/s, {speed.bytes_per_s / MIB:.1f} MiB/s"
    )
    remedy = (
        "Raise source.readers, keep a cache (cache.uri), pack small files into Parquet, or move the source "
        "nearer to "
        "the workers"
    )
    if consumed is not None:
        share = max(
            consumed.files_per_s / speed.files_per_s if speed.files_per_s else 1.0,
            consumed.bytes_per_s / speed.bytes_per_s if speed.bytes_per_s else 0.0,
        )
        took = (
            f"the run {consumed.run} took {consumed.files_per_s:.0f} records/s and "
            f"{consumed.bytes_per_s / MIB:.1f} MiB/s, {share:.0%} of that, and waited "
            f"{consumed.waiting:.0%} of the time"
        )
        if share > _NEAR_LIMIT:
            return warning(uri, f"{evidence}; {took}: the source sets its pace", remedy)
        return ok(uri, f"{evidence}; {took}")
    needed = cores * _CORE_PER_S
    # A few large files feed as many records as their rows: only small ones are counted.
    if speed.files_per_s < needed and speed.bytes_per_s < _SLOW_BYTES_PER_S:
        return warning(
            uri,
            f"{evidence}; {cores} cores prepare about {needed:.0f} photographs/s: the source would set the "
            "pace",
            remedy,
        )
    return ok(uri, evidence)


def _run_workspace(context: CheckContext) -> Iterator[Finding | Skip]:
    work_dir = context.addresses.work_dir
    if work_dir is None:
        yield Skip("no folder for workspaces is known: give --work-dir")
        return
    try:
        folder = Folder.open(work_dir, resolver=context.resolver)
        speed = measure_workspace(folder)
    except StorageError as fault:
        yield error(work_dir, str(fault), "Check the folder, its permissions, and that all workers reach it")
        return
    if folder.is_local:
        yield judge_room(work_dir, *shutil.disk_usage(folder.path)[::2])
    yield judge_workspace(work_dir, speed)


def judge_workspace(uri: str, speed: WorkspaceSpeed) -> Finding:
    """Judge the speed of a folder for workspaces."""
    evidence = (
        f"write {speed.write}; read {speed.read}; remove {speed.remove}; a file of 16 MiB: "
        f"{speed.write_bytes_per_s / MIB:.0f} MiB/s written, {speed.read_bytes_per_s / MIB:.0f} MiB/s read"
    )
    if speed.write.p95 > _SLOW_WRITE_S:
        return warning(
            uri,
            f"{evidence}: a run of 64 shards commits {_COMMITS} files, {_COMMITS * speed.write.p50:.0f} s "
            "of its tasks' "
            "time",
            "Put [aiopt] work_dir on faster storage, use fewer shards, or stream (PipelineOperator)",
        )
    if min(speed.write_bytes_per_s, speed.read_bytes_per_s) < _SLOW_BYTES_PER_S:
        rate = min(speed.write_bytes_per_s, speed.read_bytes_per_s) / 150_528
        return warning(
            uri,
            f"{evidence}: {rate:.0f} prepared photographs (224 x 224, uint8) a second pass through it",
            "Put [aiopt] work_dir on faster storage, or stream (PipelineOperator), which writes only results",
        )
    return ok(uri, evidence)


def judge_room(uri: str, total: int, free: int) -> Finding:
    """Judge the room that is left where workspaces are written, in bytes."""
    evidence = f"{free / 1024**3:.1f} of {total / 1024**3:.1f} GiB free"
    if free < _LITTLE_ROOM:
        return warning(uri, evidence, "Remove old runs, or move [aiopt] work_dir")
    return ok(uri, evidence)


SOURCE = Check(
    "source",
    "how fast the source can be listed and read",
    "with `--source URI` or `--spec FILE`: a source that cannot be listed or read, or is slower than what "
    "the last run "
    "took of it (`--run`; below a local `work_dir` the newest is found) leaves room for, or than what the "
    "cores can take. "
    f"It reads at most 64 MiB for about 4 s, one file after the other and {READERS} at a time",
    _run_source,
    limit_s=_LIMIT_S,
)
WORKSPACE = Check(
    "workspace",
    "how fast shards are committed to `[aiopt] work_dir`",
    "a folder that cannot be written or cleaned, whose commits take more than 100 ms (p95) or that passes "
    "less than "
    "20 MiB/s; little room. It writes, reads and removes ten files of 4 KiB and one of 16 MiB, in a folder "
    "of its own",
    _run_workspace,
    limit_s=_LIMIT_S,
)
