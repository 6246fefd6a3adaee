"""When a stage is due for a sample of the hardware: a decision without a clock and without a thread."""

from __future__ import annotations

import math

from airflow_provider_aiopt.telemetry.hardware.reading import Reading
from airflow_provider_aiopt.telemetry.hardware.series import Series


class Watch:
    """One stage's place among the samples.

    :param interval_s: seconds between two samples at first
    """

    def __init__(self, interval_s: float) -> None:
        self.series = Series(interval_s)
        self.ending = False
        self._due = -math.inf

    @property
    def urgent(self) -> bool:
        """Whether it needs a sample at once: its first or its last."""
        return self.ending or self._due == -math.inf

    def pause_s(self, now: float) -> float:
        """Return in how many seconds a sample is due, 0 for at once.

        :param now: seconds of the readings' clock
        """
        return 0.0 if self.urgent else max(0.0, self._due - now)

    def take(self, reading: Reading, least_s: float) -> bool:
        """Take a reading if one is nearly due, so that stages that began apart come to share their samples.

        :param reading: the reading
        :param least_s: seconds to the next one at least
        :returns: whether it was the last that the stage needs
        """
        if self.ending:
            self.series.finish(reading)
        elif reading.moment >= self._due - self.series.interval_s / 2:
            self.series.add(reading)
            self._due = reading.moment + max(self.series.interval_s, least_s)
        return self.ending
