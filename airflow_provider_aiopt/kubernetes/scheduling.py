"""Why no node took a pod."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_aiopt.exceptions import PodUnschedulableError
from airflow_provider_aiopt.kubernetes.status import Json, PodFacts

_INSUFFICIENT = re.compile(r"Insufficient ([a-z0-9./-]*[a-z0-9])")


def unschedulable(facts: PodFacts, waited: str = "") -> PodUnschedulableError | None:
    """Tell why no node took a pod.

    :param facts: the pod when it was given up
    :param waited: how long was waited for, as the caller says it
    :returns: None where a node took it
    """
    condition = facts.condition("PodScheduled")
    if condition.get("status") == "True" or facts.spec.get("nodeName"):
        return None
    if condition.get("reason") == "SchedulingGated":
        return PodUnschedulableError(
            f"{facts} waits for its queue to admit it ({waited or 'it is gated'}). Look at the queue with "
            "'kubectl get "
            "workloads', raise its quota, or wait longer with schedule_timeout_seconds"
        )
    said = condition.get("message") or facts.last_warning() or "the scheduler has not said why"
    for resource in sorted(_extended(facts.limits)):
        wanted, best = int(facts.limits[resource]), _most(facts.nodes, resource)
        if best is not None and best < wanted:
            have = (
                f"the most that any of {len(facts.nodes or ())} nodes has is {best}"
                if best
                else "no node has any"
            )
            if any(facts.events_of("TriggeredScaleUp")):
                break  # a node that has it is being made
            return PodUnschedulableError(
                f"{facts} asks for {wanted} {resource}, and {have}: {said}. Lower PodResources.gpus, check "
                "that the "
                "GPU nodes' device plugin runs ('kubectl describe nodes'), or use a cluster that has them",
                retryable=False,
            )
    scarce = sorted(set(_INSUFFICIENT.findall(said)))
    remedy = (
        f"There is not enough {' and '.join(scarce)} free: wait longer with schedule_timeout_seconds, allow "
        "the cluster "
        "more nodes, or run fewer tasks at once with a pool"
        if scarce
        else "Check PodResources.node_selector and tolerations against 'kubectl describe nodes'"
    )
    return PodUnschedulableError(f"{facts} got no node{f' ({waited})' if waited else ''}: {said}. {remedy}")


def _extended(limits: Json) -> set[str]:
    """Resources with a domain in their name are counted in whole devices."""
    return {name for name, amount in limits.items() if "/" in name and str(amount).isdecimal()}


def _most(nodes: Sequence[Json] | None, resource: str) -> int | None:
    """Return how many of *resource* a single node has at most, None where the nodes are not known."""
    if nodes is None:
        return None
    amounts = ((node.get("status") or {}).get("allocatable") or {} for node in nodes)
    return max((int(amount.get(resource, 0)) for amount in amounts), default=0)
