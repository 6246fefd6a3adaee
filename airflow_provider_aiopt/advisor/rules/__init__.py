"""All rules, one module to a family; a further one is a line in its module's ``RULES``."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.rules import (
    device,
    inference,
    neighbours,
    postprocessing,
    preprocessing,
    queueing,
    scheduling,
    startup,
    storage,
    transfer,
)
from airflow_provider_aiopt.advisor.rules.base import Rule

RULES: tuple[Rule, ...] = (
    *scheduling.RULES,
    *queueing.RULES,
    *startup.RULES,
    *storage.RULES,
    *preprocessing.RULES,
    *inference.RULES,
    *device.RULES,
    *transfer.RULES,
    *postprocessing.RULES,
    *neighbours.RULES,
)
"""Every rule; their order decides between gains that are equal."""
