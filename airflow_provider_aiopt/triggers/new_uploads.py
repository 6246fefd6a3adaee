"""The trigger that says which new objects arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.uploads import Upload
    from airflow_provider_aiopt.spec.uploads import UploadWatchSpec

_LEAST_PAUSE_S, _MOST_PAUSE_S = 5.0, 300.0


class NewUploadTrigger(BaseEventTrigger):
    """Fires with the new objects of a folder or bucket, which it neither moves nor deletes.

    For an asset's watcher::

        WATCH = {"uri": "s3://my_connection@bucket/inbox", "pattern": ["*.jpg"]}
        photos = Asset("photos", watchers=[AssetWatcher(name="inbox", trigger=NewUploadTrigger(**WATCH))])

        with DAG("classify", schedule=[photos]):
            PipelineOperator(task_id="classify", uploads=WATCH, spec=...)

    Every version of every object is offered until a run has claimed it, and
    the operator claims it once for each DAG; before tasks of other kinds a
    :class:`~airflow_provider_aiopt.operators.take_uploads.TakeUploadsOperator` does.

    The parameters are those of :class:`~airflow_provider_aiopt.spec.uploads.UploadWatchSpec`; they are
    checked when the DAG file is parsed.

    :param uri: the folder: an absolute local path or a URL
    :param consumer: the DAG that one of its own tasks watches for; None in an asset's watcher
    :param watch: the other parameters
    """

    def __init__(self, uri: str, *, consumer: str | None = None, **watch: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Checked later: the triggerer makes triggers on its event loop, where no import shall take long.
        self.consumer = consumer
        self._values = {"uri": uri, **watch}

    def spec(self) -> UploadWatchSpec:
        """Return what is watched.

        :raises SpecError: naming every parameter at fault
        """
        from airflow_provider_aiopt.spec.uploads import load_watch_spec

        return load_watch_spec(self._values)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the trigger is made of again: only what differs from the defaults.

        :raises SpecError: naming every parameter at fault; Airflow serialises as it parses the DAG file
        """
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        values = self.spec().model_dump(mode="json", exclude_defaults=True)
        return path, values if self.consumer is None else values | {"consumer": self.consumer}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for every batch of uploads, for ever.

        Whatever goes wrong is logged and tried again: nobody would notice a watcher that has ended.
        """
        pause = _LEAST_PAUSE_S
        while True:
            try:
                async with aclosing(self._events()) as events:
                    async for event in events:
                        yield event
                        pause = _LEAST_PAUSE_S
            except Exception:
                self.log.exception("Watching %s failed; it begins anew in %g s", self._values["uri"], pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MOST_PAUSE_S)

    async def _events(self) -> AsyncGenerator[TriggerEvent]:
        # On a thread: the first import takes longer than the event loop may be blocked.
        parts = await asyncio.to_thread(_Parts.of, self)
        async with aclosing(parts.uploads) as batches:
            async for uploads in batches:
                payload = await asyncio.to_thread(parts.payload, uploads)
                yield TriggerEvent(payload)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What watching takes, imported where it does not block."""

    uploads: AsyncGenerator[list[Upload]]
    payload: Callable[[list[Upload]], dict[str, Any]]

    @classmethod
    def of(cls, trigger: NewUploadTrigger) -> _Parts:
        from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
        from airflow_provider_aiopt.airflow.uploads import watch_state
        from airflow_provider_aiopt.uploads.payloads import make_payload
        from airflow_provider_aiopt.uploads.watching import watch

        spec = trigger.spec()
        state = watch_state(spec, trigger.consumer)
        return cls(
            watch(spec, state=state, resolver=resolve_with_connection),
            lambda uploads: make_payload(spec, uploads, state),
        )
