"""One thread that samples the hardware for all stages of the process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from airflow_provider_aiopt.telemetry.hardware.machine import Meter, open_machine
from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse
from airflow_provider_aiopt.telemetry.hardware.watch import Watch

log = logging.getLogger(__name__)

THREAD = "aiopt-hardware"
"""Name of the thread."""

MAX_COST = 0.004
"""Share of a core that sampling may take: where a sample costs more, as with hundreds of worker processes,
the next one comes later."""

_PATIENCE_S = 5.0  # a driver may hang; the stage must not


class Sampler:
    """Samples while any stage is watched, on a thread that begins with the first and ends with the last.

    The machine is opened by the thread, too: loading a GPU's driver may take a while.

    :param open_meter: opens what is read, once
    :param now: the readings' clock
    :param cpu: CPU seconds of the calling thread
    :param patience_s: seconds that a stage's end waits for its last sample
    """

    def __init__(
        self,
        open_meter: Callable[[], Meter] = open_machine,
        *,
        now: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._open_meter = open_meter
        self._now = now
        self._cpu = cpu
        self._patience_s = patience_s
        self._meter: Meter | None = None
        self._changed = threading.Condition()
        self._watches: list[Watch] = []
        self._thread: threading.Thread | None = None
        self._stuck = False

    def begin(self, interval_s: float) -> Watch:
        """Watch a stage.

        :param interval_s: seconds between two samples at first
        :returns: what :meth:`end` takes
        """
        watch = Watch(interval_s)
        with self._changed:
            if not self._stuck and self._running():
                self._watches.append(watch)
                self._changed.notify_all()
        return watch

    def end(self, watch: Watch) -> HardwareUse | None:
        """Take a last sample for a stage and return its account; the last stage's end ends the thread.

        :param watch: what :meth:`begin` returned
        :returns: None where the stage was too short, or where the hardware could not be read
        """
        with self._changed:
            watch.ending = True
            thread = self._thread
            self._changed.notify_all()
            if self._changed.wait_for(lambda: watch not in self._watches, self._patience_s):
                # Without any watch the thread ends, unless another stage begins before it has.
                self._changed.wait_for(self._settled, self._patience_s)
            else:
                self._watches.remove(watch)
                self._stuck = True
                log.warning("The hardware was not read within %s s: it is sampled no more", self._patience_s)
            ended = self._thread is None
        if ended and thread is not None:
            thread.join()
        return watch.series.use(self._meter.facts) if self._meter else None

    def turn(self) -> float | None:
        """Take a sample if one is due.

        :returns: seconds until the next one; None where nobody watches any more, which ends the thread
        """
        with self._changed:
            if not self._watches:
                self._thread = None
                self._changed.notify_all()
                return None
            if pause_s := min(watch.pause_s(self._now()) for watch in self._watches):
                return pause_s
        self._meter = self._meter or self._open_meter()
        began = self._cpu()
        reading = self._meter.read()  # without the lock: a driver may take its time
        least_s = (self._cpu() - began) / MAX_COST
        with self._changed:
            self._stuck = False
            self._watches = [watch for watch in self._watches if not watch.take(reading, least_s)]
            self._changed.notify_all()
        return 0.0

    def _running(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the process may have no more threads
                log.warning("The hardware is not sampled: %s", error)
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        try:
            while (pause_s := self.turn()) is not None:
                with self._changed:
                    self._changed.wait_for(self._urgent, pause_s)
        except Exception:  # a stage must not fail, nor wait, for want of its hardware account
            log.warning("The hardware is sampled no more", exc_info=True)
            with self._changed:
                self._watches.clear()
                self._thread = None
                self._changed.notify_all()

    def _settled(self) -> bool:
        return bool(self._watches) or self._stuck or self._thread is None

    def _urgent(self) -> bool:
        return not self._watches or any(watch.urgent for watch in self._watches)


_samplers: dict[int, Sampler] = {}


def shared_sampler() -> Sampler:
    """Return the process's sampler; a forked process, which has none of the threads, gets one of its own."""
    return _samplers.setdefault(os.getpid(), Sampler())
