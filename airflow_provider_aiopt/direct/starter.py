"""From uploads to exactly one run, through every crash between the two."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import AioptError, AirflowApiError, StorageError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.batches import Batch, BatchStore
from airflow_provider_aiopt.uploads.payloads import CONF_KEY, make_payload
from airflow_provider_aiopt.uploads.state import UploadState

log = logging.getLogger(__name__)

_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_LEAST_BACKOFF_S, _MOST_BACKOFF_S = 0.5, 60.0


class RunCreator(Protocol):
    """Creates runs in Airflow."""

    def create_run(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        """Create a run.

        :returns: False where there is a run of this id
        :raises AirflowApiError: if Airflow refuses or does not answer
        """
        ...


@dataclass
class Counts:
    """What a starter has done since it began.

    :param uploads: uploads that it claimed for runs that exist now
    :param runs: runs that it created
    :param duplicates: runs that were there already
    :param failures: attempts to create a run that failed
    :param trouble: why the last attempt failed; empty since one succeeded or nothing was pending
    :param is_away: whether it failed in a way that any other run would share
    :param latency_s: seconds from the first sighting of an upload to its run, of the newest run
    """

    uploads: int = 0
    runs: int = 0
    duplicates: int = 0
    failures: int = 0
    trouble: str = ""
    is_away: bool = False
    latency_s: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)


class RunStarter:
    """Makes runs of batches of uploads; safe on several threads, and beside other instances.

    A batch is written down before its uploads are claimed, and forgotten after its run is there.  Its run id
    is made of its uploads, so that Airflow itself answers 409 where the run exists.

    :param dag_id: the DAG
    :param spec: the watch whose uploads come
    :param state: its state
    :param airflow: creates the runs
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        dag_id: str,
        spec: UploadWatchSpec,
        state: UploadState,
        airflow: RunCreator,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counts = Counts()
        self._dag_id = dag_id
        self._spec = spec
        self._state = state
        self._airflow = airflow
        self._clock = clock
        self._batches = BatchStore(state.folder, dag_id)
        self._under_way: set[str] = set()
        self._closing = threading.Event()
        # On SQLite two requests that create runs block each other for Airflow's lock time-out, and one fails.
        self._one_at_a_time = threading.Lock()

    def start(self, uploads: Sequence[Upload]) -> bool:
        """Start a run for *uploads*, as far as no other run has them.

        While Airflow is away the batch is only written down, so that a burst does not wait for as many
        time-outs; :meth:`resume` finds out when it is back.

        :param uploads: one or more
        :returns: whether this instance need not come back to it
        :raises StorageError: if the batch cannot be written down; the uploads are offered again
        """
        batch = self._batches.begin(uploads)
        if batch is None:  # whoever keeps it is at it; if that one has crashed, resume() finishes it
            return True
        return not self.counts.is_away and self._finish(batch)

    def resume(self) -> int:
        """Finish what is pending, of this instance or of one that is gone, until Airflow is found to be away.

        :returns: how many batches are pending still
        :raises StorageError: if they cannot be listed
        """
        pending = self._batches.pending()
        if not pending:  # another instance has finished what failed here
            self._forget_trouble()
        done = 0
        for batch in pending:
            if self._closing.is_set():
                break
            done += self._finish(batch)
            if self.counts.is_away:
                break
        return len(pending) - done

    def close(self) -> None:
        """Have :meth:`resume` end after the batch that it is at."""
        self._closing.set()

    def _finish(self, batch: Batch) -> bool:
        with self.counts.lock:
            if batch.run_id in self._under_way:
                return False
            self._under_way.add(batch.run_id)
        try:
            return self._create(batch)
        except AioptError as error:
            self._note(error)
            return False
        finally:
            with self.counts.lock:
                self._under_way.discard(batch.run_id)

    def _create(self, batch: Batch) -> bool:
        claimed = self._state.claims.claim(batch.uploads, consumer=self._dag_id, run_id=batch.run_id)
        if claimed.ours:
            conf = {CONF_KEY: make_payload(self._spec, claimed.ours, self._state)}
            with self._one_at_a_time:
                created = self._airflow.create_run(self._dag_id, batch.run_id, conf)
            self._count(claimed.ours, created=created)
        self._batches.finish(batch)
        return True

    def _count(self, uploads: Sequence[Upload], *, created: bool) -> None:
        self._forget_trouble()
        counts = self.counts
        with counts.lock:
            if created:
                counts.runs += 1
                counts.uploads += len(uploads)
                counts.latency_s = max(0.0, self._clock() - min(upload.seen_at for upload in uploads))
            else:
                counts.duplicates += 1

    def _forget_trouble(self) -> None:
        with self.counts.lock:
            self.counts.trouble, self.counts.is_away = "", False

    def _note(self, error: Exception) -> None:
        message = str(error)
        with self.counts.lock:
            is_new = message != self.counts.trouble
            self.counts.failures += 1
            self.counts.trouble = message
            self.counts.is_away = _concerns_all(error)
        if is_new:  # once, however long Airflow is away
            log.warning("A run cannot be started now, it is tried again: %s", message)


def _concerns_all(error: Exception) -> bool:
    """Whether what failed for one run fails for any: not where that very run, or a claim, is wrong."""
    if isinstance(error, AirflowApiError):
        return error.status not in _REFUSALS
    return isinstance(error, StorageError)


def backoff_s(attempt: int) -> float:
    """Return how long to wait after so many failures in a row, in seconds: doubling, at most a minute."""
    return float(min(_LEAST_BACKOFF_S * 2 ** min(attempt, 16), _MOST_BACKOFF_S))
