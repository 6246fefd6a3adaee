"""Running one stage after ingestion over one shard or several."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

from pydantic import JsonValue

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.overlap import ReadAhead, WriteBehind
from airflow_provider_aiopt.data.parallel import SerialExecutor, map_ordered
from airflow_provider_aiopt.data.shards import BatchWriter, read_batches, touch_pages
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.fingerprints import derived
from airflow_provider_aiopt.runner.resume import finished_shard
from airflow_provider_aiopt.runner.shard_output import ShardItem, ShardOutput, ShardWork
from airflow_provider_aiopt.stages.base import Stage
from airflow_provider_aiopt.stages.preprocess import NAME as PREPROCESS
from airflow_provider_aiopt.telemetry.recorder import StageRecorder
from airflow_provider_aiopt.telemetry.reports import QUARANTINED_BY

_PARTS = 3  # of the bytes in flight: read ahead, being worked on, waiting to be written


@dataclass(frozen=True, slots=True)
class LoadedStage:
    """A stage that is ready, and how many batches it takes at once.

    :param stage: the stage
    :param batches: batches that are worked on side by side, each on a thread of its own; with 1 they are
        worked on one after the other on the thread that drives the stage
    :param lanes: how many of them keep the stage fully busy
    """

    stage: Stage
    batches: int = 1
    lanes: int = 1


class ShardRunner:
    """Runs one stage shard by shard; finished shards are left alone.

    Batches are read ahead, across the ends of shards, worked on side by side and written behind, each within
    its part of ``execution.max_bytes_in_flight``.

    :param context: the run
    :param recorder: accounts for the stage, and names it
    :param settings: what the stage's results depend on beside its input, as text
    :param make_stage: loads the stage, given how many batches it will have to work on; called at most once,
        when a shard really needs work
    :param target: where the shards' data files go
    :param make_writer: opens the file that a shard, given by its name, is written to
    """

    def __init__(
        self,
        context: RunContext,
        recorder: StageRecorder,
        *,
        settings: str,
        make_stage: Callable[[int], LoadedStage],
        target: Folder,
        make_writer: Callable[[str], BatchWriter],
    ) -> None:
        self._context = context
        self._recorder = recorder
        self._name = recorder.stage
        self._settings = settings
        self._make_stage = make_stage
        self._make_writer = make_writer
        self._target = target
        self._budget = context.spec.execution.max_bytes_in_flight / _PARTS

    def run(self, refs: Sequence[ShardRef]) -> tuple[ShardRef, ...]:
        """Work on the shards that *refs* name and return references to what was made of them."""
        given = {ref.shard: self._context.workspace.manifest(ref) for ref in refs}
        self._context.progress.expect(self._name, sum(manifest.rows for manifest in given.values()))
        todo = []
        for manifest in given.values():
            work = self._work(manifest)
            finished = finished_shard(
                self._context, ShardRef(self._name, work.shard), work.fingerprint, self._target
            )
            if finished is None:
                todo.append(work)
            else:
                self._recorder.resumed_items += finished.rows
                self._count(manifest, finished)
                self._context.progress.advance(self._name, manifest.rows)
        if todo:
            self._make(todo, given)
        return tuple(ShardRef(self._name, shard) for shard in given)

    def _work(self, given: ShardManifest) -> ShardWork:
        return ShardWork(
            given.shard, derived(self._settings, given.fingerprint), given.records, bad_before=given.bad
        )

    def _make(self, todo: Sequence[ShardWork], given: dict[str, ShardManifest]) -> None:
        evidence = self._recorder.evidence
        output = ShardOutput(
            self._context.workspace,
            self._name,
            self._make_writer,
            writes=evidence.writes,
            commits=evidence.commits,
        )
        try:
            # Left in the opposite order: readers and workers end before what they use is closed.
            with ExitStack() as stack:
                stack.enter_context(output)
                behind = stack.enter_context(WriteBehind(budget=self._budget))
                source = ReadAhead(self._read(todo, given), weigh=ShardItem.weight, budget=self._budget)
                stack.enter_context(source)
                loaded = self._make_stage(self._batches(todo, given))
                stack.callback(loaded.stage.close)
                for item in stack.enter_context(closing(self._results(loaded, source, stack))):
                    with self._recorder.phase("wait_output"):
                        behind.submit(partial(output.take, item), item.weight())
                    if item.batch is not None:
                        self._context.progress.advance(self._name, item.batch.num_rows + len(item.bad))
                with self._recorder.phase("wait_output"):
                    behind.drain()
        finally:
            if output.reasons:
                self._recorder.details[QUARANTINED_BY] = dict[str, JsonValue](output.reasons)
            for shard, manifest in output.made.items():
                self._count(given[shard], manifest)
                self._recorder.bytes_in += given[shard].file_bytes
                self._recorder.bytes_out += manifest.file_bytes

    def _batches(self, todo: Sequence[ShardWork], given: dict[str, ShardManifest]) -> int:
        size = self._context.spec.execution.batch_rows
        return sum(-(-given[work.shard].rows // size) for work in todo)

    def _results(
        self, loaded: LoadedStage, source: Iterator[ShardItem], stack: ExitStack
    ) -> Generator[ShardItem, None, None]:
        executor: Executor = SerialExecutor()
        if loaded.batches > 1:
            self._recorder.set_lanes(loaded.lanes)
            pool = ThreadPoolExecutor(loaded.batches, thread_name_prefix=f"aiopt-{self._name}")
            # What has not begun is dropped; what has is waited for, so that no thread outlives the run.
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            executor = pool

        def process(item: ShardItem) -> ShardItem:
            if item.batch is None or not item.batch.num_rows:
                return item
            with self._recorder.working():
                output = loaded.stage.process(item.batch)
            if self._name == PREPROCESS:
                self._recorder.evidence.prepared(output.batch)
            return ShardItem(item.work, output.batch, output.bad)

        return map_ordered(
            process,
            self._claimed(source),
            executor,
            ahead=2 * loaded.batches if loaded.batches > 1 else 1,
            weigh=ShardItem.weight,
            budget=self._budget,
        )

    def _claimed(self, source: Iterator[ShardItem]) -> Iterator[ShardItem]:
        while True:
            with self._recorder.phase("wait_input"):
                item = next(source, None)
            if item is None:
                return
            if item.batch is not None:
                self._recorder.evidence.first_batch()
                self._recorder.batch_sizes[item.batch.num_rows] += 1
            yield item

    def _read(self, todo: Sequence[ShardWork], given: dict[str, ShardManifest]) -> Iterator[ShardItem]:
        """Yield the batches of all shards in order, each shard followed by its end; on the reading thread."""
        for work in todo:
            manifest = given[work.shard]
            for batch in read_batches(self._context.workspace.stage(manifest.stage), manifest.file):
                touch_pages(batch)
                yield ShardItem(work, batch)
            yield ShardItem(work)

    def _count(self, given: ShardManifest, made: ShardManifest) -> None:
        self._recorder.items_in += given.rows
        self._recorder.items_out += made.rows
        self._recorder.quarantined += made.quarantined
