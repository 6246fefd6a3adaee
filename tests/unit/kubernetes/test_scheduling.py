from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.kubernetes.scheduling import unschedulable
from airflow_provider_aiopt.kubernetes.status import PodFacts

SCARCE = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) had untolerated taint."
GPU = {"nvidia.com/gpu": "2"}


def node(gpus: int | None) -> dict[str, Any]:
    return {"status": {"allocatable": {"cpu": "8"} | ({} if gpus is None else {"nvidia.com/gpu": str(gpus)})}}


def facts(message: str = SCARCE, reason: str = "Unschedulable", **others: Any) -> PodFacts:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    container = {"name": "base", "resources": {"limits": {"memory": "2Gi"} | GPU}}
    return PodFacts(
        "ai", "p", {"spec": {"containers": [container]}, "status": {"conditions": [condition]}}, **others
    )


@pytest.mark.parametrize(
    ("nodes", "have"), [([node(None)], "no node has any"), ([node(1), node(0)], "any of 2 nodes has is 1")]
)
def test_gpus_that_no_node_has_will_not_be_there_next_time(nodes: list[Any], have: str) -> None:
    error = unschedulable(facts(nodes=nodes))
    assert error is not None
    assert not error.retryable
    assert f"asks for 2 nvidia.com/gpu, and {'' if 'no' in have[:2] else 'the most that '}{have}" in str(
        error
    )
    assert "Insufficient nvidia.com/gpu" in str(error)
    assert "device plugin" in str(error)


@pytest.mark.parametrize(
    "others",
    [
        {"nodes": [node(8)]},  # they are busy
        {"nodes": None},  # nobody may look
        {"nodes": [node(0)], "events": [{"reason": "TriggeredScaleUp", "message": "pod triggered scale-up"}]},
    ],
)
def test_gpus_that_may_be_there_next_time_are_worth_a_retry(others: dict[str, Any]) -> None:
    error = unschedulable(facts(**others), "More than 1800s")
    assert error is not None
    assert error.retryable
    assert "got no node (More than 1800s)" in str(error)
    assert "not enough nvidia.com/gpu free" in str(error)


def test_a_resource_is_named_without_the_sentences_full_stop() -> None:
    error = unschedulable(facts("0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no preemption"))
    assert "not enough nvidia.com/gpu free" in str(error)


def test_a_queue_that_admits_nothing_is_named() -> None:
    error = unschedulable(facts("gated", "SchedulingGated"))
    assert error is not None
    assert error.retryable
    assert "waits for its queue to admit it" in str(error)


def test_labels_and_taints_have_a_remedy_of_their_own() -> None:
    error = unschedulable(
        facts("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
    )
    assert error is not None
    assert "node_selector and tolerations" in str(error)


def test_a_pod_with_a_node_is_not_judged() -> None:
    placed = {"type": "PodScheduled", "status": "True"}
    assert unschedulable(PodFacts("ai", "p", {"status": {"conditions": [placed]}})) is None
    assert unschedulable(PodFacts("ai", "p", {"spec": {"nodeName": "node"}})) is None
