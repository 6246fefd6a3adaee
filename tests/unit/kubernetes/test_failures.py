from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import (
    PodError,
    PodEvictedError,
    PodImageError,
    PodLostError,
    PodOutOfMemoryError,
    PodPreemptedError,
    PodStageError,
    PodStartError,
    PodUnschedulableError,
)
from airflow_provider_aiopt.kubernetes.failures import classify
from airflow_provider_aiopt.kubernetes.status import PodFacts
from airflow_provider_aiopt.runner.stage_result import StageResult

Json = dict[str, Any]


def facts(status: Json | None = None, *, limits: Json | None = None, **others: Any) -> PodFacts:
    container = {"name": "base", "resources": {"limits": limits or {}}}
    spec = {"containers": [container], "nodeName": "node"}
    return PodFacts("ai", "infer-x", {"spec": spec, "status": status or {}}, **others)


def ended(code: int, **state: Any) -> Json:
    terminated = {"exitCode": code, "reason": "Error", **state}
    return {"phase": "Failed", "containerStatuses": [{"name": "base", "state": {"terminated": terminated}}]}


def waiting(reason: str, message: str = "") -> Json:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "base", "state": state}]}


def disrupted(reason: str, message: str = "") -> Json:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return ended(143) | {"conditions": [condition]}


def event(reason: str, message: str = "", kind: str = "Warning") -> Json:
    return {"reason": reason, "message": message, "type": kind}


DISK = 'Usage of EmptyDir volume "scratch" exceeds the limit "10Gi". '

CASES: list[tuple[PodFacts, type[PodError], bool, str]] = [
    # memory
    (facts(ended(137, reason="OOMKilled"), limits={"memory": "2Gi"}), PodOutOfMemoryError, False,
     r"limit of 2Gi.*Raise PodResources\.memory.*batch_size"),
    (facts(ended(137, reason="OOMKilled")), PodOutOfMemoryError, True, r"its node ran out of memory"),
    # disruptions
    (facts(disrupted("PreemptionByScheduler", "default-scheduler: preempting")), PodPreemptedError, True,
     r"preempted.*higher priority.*preempting.*goes on after the last finished shard.*priority_class"),
    (facts(disrupted("EvictionByEvictionAPI")), PodEvictedError, True, r"its node is drained"),
    (facts(disrupted("DeletionByTaintManager")), PodEvictedError, True, r"taint.*spot"),
    (facts(disrupted("TerminationByKubelet")), PodEvictedError, True, r"its node shuts down"),
    (facts(disrupted("DeletionByPodGC")), PodLostError, True, r"its node is gone"),
    (PodFacts("ai", "infer-x", None, [event("Preempted", "Preempted by pod 1")]), PodPreemptedError, True,
     r"Preempted by pod 1"),
    (PodFacts("ai", "infer-x", None, [event("TaintManagerEviction")]), PodEvictedError, True, r"taint"),
    (PodFacts("ai", "infer-x", None), PodLostError, True, r"Pod ai/infer-x is gone"),
    # evictions
    (facts({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}),
     PodEvictedError, True, r"ran short: The node was low on resource: memory"),
    (facts({"phase": "Failed", "reason": "Evicted", "message": DISK}), PodEvictedError, False,
     r"wrote more than it may.*exceeds the limit.*Raise PodResources\.scratch"),
    (facts(disrupted("TerminationByKubelet", DISK) | {"reason": "Evicted", "message": DISK}), PodEvictedError,
     False, r"wrote more than it may"),
    # images
    (facts(waiting("ImagePullBackOff", "Back-off pulling image"), events=[event("Failed", "not found")]),
     PodImageError, False, r"'base' cannot be pulled \(ImagePullBackOff\).*not found.*image_pull_secrets"),
    (facts(waiting("ErrImagePull", "toomanyrequests: 429 Too Many Requests")), PodImageError, True,
     r"registry did not answer"),
    (facts(waiting("InvalidImageName", "timeout")), PodImageError, False, r"Check the image's name"),
    # starting
    (facts(waiting("CreateContainerConfigError", 'secret "x" not found')), PodStartError, False,
     r'secret "x" not found.*Secrets, ConfigMaps'),
    (facts({"phase": "Pending"}, events=[event("FailedMount", "timed out")]), PodStartError, True,
     r"did not start.*FailedMount: timed out"),
    # the stage's own end
    (facts(ended(3, message="aiopt: wrong spec")), PodStageError, False, r"aiopt: wrong spec"),
    (facts(ended(2)), PodStageError, False, r"exit code 2"),
    (facts(ended(1, message="aiopt: no such bucket")), PodStageError, True, r"no such bucket"),
    (facts(ended(127)), PodStageError, False, r"no 'aiopt' that runs.*runtime image"),
    (facts(ended(128, reason="StartError", message="exec: aiopt")), PodStageError, False, r"exec: aiopt"),
    (facts(ended(137)), PodStageError, True, r"SIGKILL.*not for want of memory"),
    (facts(ended(143)), PodStageError, True, r"SIGTERM"),
    # anything else
    (facts({"phase": "Failed", "reason": "DeadlineExceeded", "message": "active longer than set"}), PodError,
     True, r"active longer than set"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "retryable", "message"), CASES, ids=range(len(CASES)))
def test_failures_are_told_apart(given: PodFacts, kind: type, retryable: bool, message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        raise classify(given)
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert str(caught.value).startswith("Pod ai/infer-x")


def test_what_the_stage_said_is_better_than_its_last_lines() -> None:
    result = StageResult(work="inference", error="StorageError: the bucket is full", retryable=True)
    error = classify(facts(ended(1, message="... some lines ...")), result=result)
    assert "StorageError: the bucket is full" in str(error)


def test_how_long_was_waited_is_in_the_message() -> None:
    error = classify(facts({"phase": "Pending"}), waited="Pod took too long to start. More than 300s")
    assert "did not start in time: Pod took too long to start. More than 300s" in str(error)


def test_an_init_container_that_fails_is_named() -> None:
    state = {"terminated": {"exitCode": 5, "reason": "Error"}}
    status = {"phase": "Failed", "initContainerStatuses": [{"name": "fetch", "state": state}]}
    error = classify(facts(status))
    assert type(error) is PodStartError
    assert "init container 'fetch' ended with code 5" in str(error)


def test_a_pod_without_a_node_is_the_schedulers_to_explain() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "why"}
    pod = {"spec": {"containers": []}, "status": {"phase": "Pending", "conditions": [condition]}}
    assert type(classify(PodFacts("ai", "infer-x", pod))) is PodUnschedulableError
