"""Which shards a stream has to work on, and which an earlier attempt finished."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.cutting import Bounds
from airflow_provider_aiopt.runner.fingerprints import derived, stage_settings
from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.resume import finished_shard
from airflow_provider_aiopt.runtimes.files import ModelFiles
from airflow_provider_aiopt.telemetry.reports import STAGES


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """One shard of a stream.

    :param name: its name
    :param bounds: first record and the one after the last
    :param fingerprint: digest of everything its results depend on, the same as in staged execution
    :param finished: its manifest where an earlier attempt committed it
    """

    name: str
    bounds: Bounds
    fingerprint: str
    finished: ShardManifest | None

    @property
    def records(self) -> int:
        """How many records were listed for it."""
        return self.bounds[1] - self.bounds[0]


def plan_shards(
    context: RunContext, files: ModelFiles, source: RecordSource, cuts: Iterable[tuple[str, Bounds]]
) -> list[PlannedShard]:
    """Find which of the shards in *cuts* are finished.

    :param cuts: names and bounds of shards
    """
    folder = results_folder(context)
    plan = []
    for name, fingerprint, bounds in shard_fingerprints(context, files, source, cuts):
        finished = finished_shard(context, ShardRef(STAGES[-1], name), fingerprint, folder)
        plan.append(PlannedShard(name, bounds, fingerprint, finished))
    return plan


def shard_fingerprints(
    context: RunContext, files: ModelFiles, source: RecordSource, cuts: Iterable[tuple[str, Bounds]]
) -> Iterable[tuple[str, str, Bounds]]:
    """Yield name, fingerprint and bounds of each shard in *cuts*."""
    settings = [
        stage_settings(context.spec, files, stage, allowed_callables=context.allowed_callables)
        for stage in STAGES[1:]
    ]
    for name, bounds in cuts:
        fingerprint = source.fingerprint(*bounds)
        for text in settings:
            fingerprint = derived(text, fingerprint)
        yield name, fingerprint, bounds


class OtherShards:
    """The shards of a run that other tasks stream meanwhile, as far as they are committed.

    :param context: the run
    :param fingerprints: what they have where they are finished, by name
    """

    def __init__(self, context: RunContext, fingerprints: dict[str, str]) -> None:
        self._workspace = context.workspace
        self._fingerprints = fingerprints

    def bad(self) -> int:
        """Return how many records they have in quarantine."""
        found = (
            (self._workspace.find_manifest(ShardRef(STAGES[-1], name)), fingerprint)
            for name, fingerprint in self._fingerprints.items()
        )
        # Counted also where its results were withdrawn: they were for the very reason that is asked after.
        return sum(manifest.bad for manifest, wanted in found if manifest and manifest.fingerprint == wanted)
