"""The hardware account of a stage."""

from __future__ import annotations

from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse
from airflow_provider_aiopt.telemetry.hardware.sampler import shared_sampler
from airflow_provider_aiopt.telemetry.hardware.watch import Watch

DEFAULT_INTERVAL_S = 1.0

MIN_INTERVAL_S = 0.1
"""The kernel counts CPU time in steps of 10 ms, so that a shorter interval would show little but these."""

MAX_INTERVAL_S = 3600.0


class StageHardware:
    """Samples the hardware while a stage, or several side by side, run.

    :param interval_s: seconds between two samples at first, 0 for none at all
    """

    def __init__(self, interval_s: float = DEFAULT_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._watch: Watch | None = None
        self.use: HardwareUse | None = None
        """The account, once it has ended; None where there is none."""

    def begin(self) -> None:
        """Begin to sample."""
        if self._interval_s:
            self._watch = shared_sampler().begin(self._interval_s)

    def end(self) -> None:
        """End it."""
        if self._watch is not None:
            self.use = shared_sampler().end(self._watch)
            self._watch = None

    @property
    def gpu_utilisation(self) -> float | None:
        """Mean utilisation of the GPUs, 0 to 1; None where it is not known."""
        return self.use.gpu_utilisation.mean if self.use and self.use.gpu_utilisation else None


def check_interval(interval_s: float) -> float:
    """Return *interval_s* if it can be one.

    :param interval_s: seconds between two samples, 0 for none
    :raises ValueError: if it is neither 0 nor :data:`MIN_INTERVAL_S` to an hour
    """
    if interval_s != 0 and not MIN_INTERVAL_S <= interval_s <= MAX_INTERVAL_S:
        raise ValueError(
            f"the interval is {interval_s:g} s; it can be 0, for no samples, or {MIN_INTERVAL_S:g} to "
            f"{MAX_INTERVAL_S:g} s"
        )
    return interval_s
