"""What the processes of a search run: a pipeline over one listed sample, by configuration."""

from __future__ import annotations

import itertools
from pathlib import Path

from airflow_provider_aiopt.compare.running import without_sink
from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import TuningError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.sampling import list_sample
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning.child import Work
from airflow_provider_aiopt.tuning.models import Configuration
from airflow_provider_aiopt.tuning.space import SHARDS, Sample, overrides, shard_records


class Works:
    """Makes the work of each configuration of a pipeline.

    Its results stay in a folder of the search, whatever the spec's sink, and no cache is used: once it is
    warm, a configuration would be measured without its decoding.

    :param spec: the pipeline
    :param folder: a local folder for the listing and the runs
    :param records: records of the sample at most
    :param resolver: how to find file systems
    :param allowed_callables: prefixes of the dotted paths that the spec may name
    :raises TuningError: if there are no records
    :raises AioptError: one of its other subclasses, if the source cannot be listed
    """

    def __init__(
        self,
        spec: PipelineSpec,
        folder: Path,
        *,
        records: int,
        resolver: FileSystemResolver = resolve_filesystem,
        allowed_callables: tuple[str, ...] = (),
    ) -> None:
        self.spec = load_spec(without_sink(spec), overrides={"cache": None})
        self._folder = folder
        self._allowed = allowed_callables
        self._runs = itertools.count()
        context = RunContext(
            spec=self.spec,
            workspace=Workspace.open(str(folder / "sample")),
            resolver=resolver,
            allowed_callables=allowed_callables,
        )
        self.sample = Sample(*list_sample(context, records))
        if not self.sample.records:
            raise TuningError(f"The source {spec.source.uri} has no records: there is nothing to measure")

    def make(self, configuration: Configuration) -> Work:
        """Return what a process runs, in a folder of its own.

        :param configuration: values by dotted key
        :raises SpecError: if they make no spec
        """
        shards = configuration.get(SHARDS, self.spec.execution.shards)
        return Work(
            spec=load_spec(self.spec, overrides=overrides(self.spec, configuration)),
            folder=str(self._folder / f"run-{next(self._runs)}"),
            listed=str(self._folder / "sample"),
            shard_records=shard_records(int(shards), self.sample),
            allowed_callables=self._allowed,
        )
