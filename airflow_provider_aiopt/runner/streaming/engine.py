"""The threads of a stream and how batches pass between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from pydantic import JsonValue

from airflow_provider_aiopt.data.parallel import map_ordered
from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.runner.caching import preprocess_cache
from airflow_provider_aiopt.runner.calls import DEVICE_BATCHES, device_facts
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.profiling import show_subjects, watched_runtime
from airflow_provider_aiopt.runner.settings import settings_in_effect
from airflow_provider_aiopt.runner.streaming.plan import PlannedShard
from airflow_provider_aiopt.runner.streaming.steps import StreamItem, StreamStep
from airflow_provider_aiopt.runtimes.loading import LoadedModel
from airflow_provider_aiopt.stages.choose import (
    load_pipeline_model,
    make_batcher,
    make_transform,
    process_initializer,
)
from airflow_provider_aiopt.stages.inference import InferenceStage
from airflow_provider_aiopt.stages.ingest import IngestStage
from airflow_provider_aiopt.stages.outputs.base import OutputHead
from airflow_provider_aiopt.stages.postprocess import PostprocessStage
from airflow_provider_aiopt.stages.preprocess import PreprocessStage, decoding_executor
from airflow_provider_aiopt.telemetry.occupancy import Occupancy
from airflow_provider_aiopt.telemetry.stream_recorder import StreamRecorder


class StreamEngine:
    """Takes the records of shards through all stages but the writing.

    On the CPU each worker thread takes a batch through preprocessing and a single-threaded inference call, so
    that every core always has work and nothing waits in queues.  Unless the spec says how many, there is one
    more thread than cores: while one waits for its batch to be decoded on another thread, or for the
    interpreter, that one computes.  With a GPU, preprocessing threads feed the
    device through a short queue.  The thread that iterates reads ahead and hands the batches out.

    :param context: the run
    :param recorder: accounts for the stages
    :param source: the listed source
    :param head: what makes the results
    """

    def __init__(
        self, context: RunContext, recorder: StreamRecorder, source: RecordSource, head: OutputHead
    ) -> None:
        self._context = context
        self._recorder = recorder
        self._source = source
        self._head = head
        self._workers = context.workers

    def expect(self, records: int) -> None:
        """Note how many *records* there are in all, those of finished shards included."""
        self._recorder.expect(records)

    def run(self, shards: Sequence[PlannedShard]) -> Generator[StreamItem, None, None]:
        """Yield what is ready to be written, shard by shard; a shard's last item has no batch.

        Within a shard it is in the order of the source, unless ``execution.keep_order`` is off.
        """
        with ExitStack() as stack:
            stack.callback(lambda: self._note("ingest", source_retries=self._source.retries))
            model = self._load()
            self._tell_settings(model)
            reader = stack.enter_context(
                IngestStage(
                    self._source,
                    batch_rows=self._context.spec.execution.batch_rows,
                    workers=self._context.readers,
                )
            )
            show_subjects(self._context.probe, "ingest", reader, self._source)
            prepare, infer, finish = self._steps(model, stack)
            pool = self._threads(stack, self._lanes(model), "aiopt-stream")
            items = self._read(reader, shards)
            if model.runtime.on_device:
                device = self._threads(stack, DEVICE_BATCHES, "aiopt-device")
                prepared = self._overlap(prepare, items, pool)
                yield from map_ordered(
                    lambda item: finish(infer(item)),
                    prepared,
                    device,
                    ahead=DEVICE_BATCHES,
                    together=self._together,
                )
            else:
                yield from self._overlap(lambda item: finish(infer(prepare(item))), items, pool)

    def _load(self) -> LoadedModel:
        spec, recorder = self._context.spec, self._recorder
        with recorder.loading_model():
            # The batches of several threads fill the cores; each call needs only its own thread.
            single = spec.model.model_copy(update={"threads": spec.model.threads or 1})
            model = load_pipeline_model(
                spec.model_copy(update={"model": single}), resolver=self._context.resolver
            )
        tally = recorder.stages["inference"]
        tally.runtime = model.runtime.description
        if model.runtime.fallback:
            tally.details["device_fallback"] = model.runtime.fallback
        if model.runtime.normalisation:
            tally.details["normalisation"] = model.runtime.normalisation
        return model

    def _steps(self, model: LoadedModel, stack: ExitStack) -> tuple[StreamStep, StreamStep, StreamStep]:
        spec, recorder = self._context.spec, self._recorder
        batcher = make_batcher(spec.execution, model.runtime)
        allowed, head = self._context.allowed_callables, self._head
        transform = make_transform(spec, model.files, allowed_callables=allowed)
        lanes = self._lanes(model)
        shared = 1 if model.runtime.on_device else lanes
        cache = preprocess_cache(spec, model.files, transform, recorder.stages["preprocess"].cache)
        decoder = decoding_executor(
            self._workers,
            limit_s=spec.execution.record_timeout_s,
            serial=True,
            on_cpu=lambda seconds: recorder.add_cpu("preprocess", seconds),
            initializer=process_initializer(spec, model.files, allowed_callables=allowed),
        )
        prepared = recorder.stages["preprocess"].evidence.calls
        prepare = PreprocessStage(transform, executor=decoder, cache=cache, calls=prepared)
        occupancy = Occupancy(calls=recorder.stages["inference"].evidence.calls)
        probe = self._context.probe
        infer = InferenceStage(watched_runtime(probe, model.runtime), transform, head, batcher, occupancy)
        show_subjects(probe, "preprocess", transform)
        show_subjects(probe, "inference", infer, transform, head)
        show_subjects(probe, "postprocess", head)
        # Both come after the threads, which are entered later, have ended.
        stack.callback(prepare.close)
        stack.callback(
            lambda: self._note(
                "inference", batching=batcher.facts(), **device_facts(model.runtime, occupancy)
            )
        )
        return (
            StreamStep("preprocess", prepare, recorder, lanes=lanes),
            StreamStep("inference", infer, recorder, lanes=shared),
            StreamStep("postprocess", PostprocessStage(head), recorder, lanes=shared),
        )

    def _lanes(self, model: LoadedModel) -> int:
        """Return how many batches are worked on at once."""
        given = self._context.spec.execution.workers
        return self._workers if given or model.runtime.on_device else self._workers + 1

    def _threads(self, stack: ExitStack, count: int, name: str) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        # What has not begun is dropped; what has is waited for, so that no thread outlives the run.
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        return pool

    def _overlap(
        self,
        step: Callable[[StreamItem], StreamItem],
        items: Iterator[StreamItem],
        pool: ThreadPoolExecutor,
    ) -> Iterator[StreamItem]:
        return map_ordered(
            step,
            items,
            pool,
            ahead=2 * (self._workers + 1),
            weigh=StreamItem.weight,
            budget=self._context.spec.execution.max_bytes_in_flight,
            together=self._together,
        )

    @property
    def _together(self) -> Callable[[StreamItem], Hashable] | None:
        """Tell which neighbours' order does not matter: the batches of a shard, but not its end."""
        if self._context.spec.execution.keep_order:
            return None
        return lambda item: (item.shard, item.batch is None)

    def _tell_settings(self, model: LoadedModel) -> None:
        for stage, tally in self._recorder.stages.items():
            tally.evidence.settings = settings_in_effect(self._context, stage, model.files)
        self._recorder.stages["ingest"].evidence.reads = self._source.reads

    def _note(self, stage: str, **details: JsonValue) -> None:
        self._recorder.stages[stage].details.update(details)

    def _read(self, reader: IngestStage, shards: Sequence[PlannedShard]) -> Iterator[StreamItem]:
        recorder = self._recorder
        for shard in shards:
            batches = reader.read(*shard.bounds)
            while True:
                with recorder.busy("ingest"):
                    output = next(batches, None)
                if output is None:
                    break
                recorder.count_batch("ingest", output.batch.num_rows, len(output.bad))
                recorder.stages["ingest"].bytes_in += output.batch.column("payload").nbytes
                yield StreamItem(shard.name, output.batch, output.bad, time.perf_counter())
            yield StreamItem(shard.name)
