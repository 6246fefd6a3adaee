"""How many calls of the model run side by side."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import JsonValue

from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runtimes.base import ModelRuntime
from airflow_provider_aiopt.telemetry.occupancy import Occupancy

DEVICE_BATCHES = 2
"""Batches in flight where the model runs on a device: one on it, one ready behind it."""


class Calls(NamedTuple):
    """Calls of the model on the CPU.

    :param lanes: how many run at once
    :param threads: threads of each
    """

    lanes: int
    threads: int


def calls_at_once(context: RunContext, batches: int) -> Calls:
    """Return how the workers are shared out among the calls of *batches* batches.

    Several calls of one thread take less CPU time than one call of several, so a call gets more threads only
    where there are fewer batches than workers, or where ``model.threads`` says so.
    """
    asked = context.spec.model.threads
    lanes = max(1, min(batches, context.workers // (asked or 1)))
    return Calls(lanes, asked or max(1, context.workers // lanes))


def device_facts(runtime: ModelRuntime, occupancy: Occupancy) -> dict[str, JsonValue]:
    """Return for the inference report how busy the device was kept; nothing where the CPU runs the model.

    ``device_busy`` is the share of the time between the first call and the last during which at least one
    call was under way, copies to the device and back included: what is missing, it waited for the host.
    """
    share = occupancy.share
    return {"device_busy": round(share, 4)} if runtime.on_device and share is not None else {}
