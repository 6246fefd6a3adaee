"""Why a stage's pod failed, what to do, and whether another attempt may do better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_aiopt.exceptions import (
    PodError,
    PodEvictedError,
    PodImageError,
    PodLostError,
    PodOutOfMemoryError,
    PodPreemptedError,
    PodStageError,
    PodStartError,
)
from airflow_provider_aiopt.kubernetes.scheduling import unschedulable
from airflow_provider_aiopt.kubernetes.status import PodFacts
from airflow_provider_aiopt.runner.stage_result import StageResult

_PULL_REASONS = {"ErrImagePull", "ImagePullBackOff"}
_IMAGE_REASONS = {*_PULL_REASONS, "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_PASSING = (
    "429", "too many requests", "rate limit", "qps", "timeout", "timed out", "deadline exceeded",
    "bad gateway", "unavailable", "connection re", "i/o", "no such host", "eof", "tls handshake",
)  # fmt: skip
_CONFIG_REASONS = {"CreateContainerConfigError", "RunContainerError", "CreateContainerError"}
_OWN_DISK = ("exceeds the limit", "exceeds the total limit", "exceeded its local ephemeral storage limit")
_DISRUPTIONS = {
    "PreemptionByScheduler": "a pod of higher priority needed its node",
    "DeletionByTaintManager": "its node got a taint that it does not tolerate, as a spot node that is taken "
    "back does",
    "EvictionByEvictionAPI": "its node is drained",
    "TerminationByKubelet": "its node shuts down or ran out of memory, disk or process ids",
    "DeletionByPodGC": "its node is gone",
}
_GOES_ON = "The next attempt goes on after the last finished shard"

_USAGE, _NO_RETRY, _COMMAND, _NOT_FOUND, _KILLED, _TERMINATED = 2, 3, 126, 127, 137, 143


def classify(facts: PodFacts, *, result: StageResult | None = None, waited: str = "") -> PodError:
    """Tell why a pod failed.

    :param facts: the pod when it failed
    :param result: what the stage itself told of its end, None where it told nothing
    :param waited: what was waited for too long, as the caller says it; empty where nothing was
    :returns: the error to raise, whose ``retryable`` says what a retry is good for
    """
    for judge in (_out_of_memory, _stage_said, _disrupted, _evicted, _image, _configuration):
        if error := judge(facts, result):
            return error
    if facts.pod is None:
        return PodLostError(f"{facts} is gone: it was deleted, or its node was drained or lost. {_GOES_ON}")
    if error := unschedulable(facts, waited):
        return error
    if facts.state("terminated"):
        return _ended(facts, result)
    if facts.status.get("phase") in ("Pending", None):
        because = facts.last_warning() or "no event says why"
        return PodStartError(f"{facts} did not start{_after(waited)}. Its last warning: {because}")
    reason = (
        facts.status.get("message")
        or facts.status.get("reason")
        or waited
        or "for a reason that is not known"
    )
    return PodError(f"{facts} failed: {reason}. {_GOES_ON}")


def _out_of_memory(facts: PodFacts, _: StageResult | None) -> PodError | None:
    if facts.state("terminated").get("reason") != "OOMKilled":
        return None
    limit = facts.limits.get("memory")
    if limit is None:
        return PodOutOfMemoryError(
            f"{facts} was killed because its node ran out of memory; it has no limit of its own. Give it one "
            "with "
            f"PodResources.memory, which also reserves it. {_GOES_ON}",
            retryable=True,
        )
    return PodOutOfMemoryError(
        f"{facts} used more memory than its limit of {limit}, and another attempt would too. Raise "
        "PodResources.memory, "
        "or lower execution.batch_size, execution.max_bytes_in_flight or execution.workers; /dev/shm counts "
        "as well"
    )


def _stage_said(facts: PodFacts, result: StageResult | None) -> PodError | None:
    """Take the stage's own word, where it failed in a way that would come again."""
    code = facts.state("terminated").get("exitCode")
    if code not in (_USAGE, _NO_RETRY):
        return None
    return PodStageError(f"{facts}: {_words(facts, result)}", retryable=False)


def _disrupted(facts: PodFacts, _: StageResult | None) -> PodError | None:
    condition = facts.condition("DisruptionTarget")
    reason = condition.get("reason") if condition.get("status") == "True" else None
    message = condition.get("message") or ""
    if reason is None and (event := next(facts.events_of("Preempted", "TaintManagerEviction"), None)):
        reason = "PreemptionByScheduler" if event["reason"] == "Preempted" else "DeletionByTaintManager"
        message = event.get("message") or ""
    if reason is None or any(words in message for words in _OWN_DISK):
        return None
    kind: type[PodError] = PodPreemptedError if reason == "PreemptionByScheduler" else PodEvictedError
    if reason == "DeletionByPodGC":
        kind = PodLostError
    what = "preempted" if kind is PodPreemptedError else "disrupted"
    because = _DISRUPTIONS.get(reason, reason)
    told = f" ({message})" if message else ""
    remedy = (
        " Give it a higher PodResources.priority_class to prevent that." if kind is PodPreemptedError else ""
    )
    return kind(f"{facts} was {what}: {because}{told}. {_GOES_ON}.{remedy}")


def _evicted(facts: PodFacts, _: StageResult | None) -> PodError | None:
    reason, message = facts.status.get("reason"), facts.status.get("message") or ""
    if reason != "Evicted":
        event = next(facts.events_of("Evicted"), None)
        if event is None:
            return None
        message = event.get("message") or message
    if any(words in message for words in _OWN_DISK):
        return PodEvictedError(
            f"{facts} wrote more than it may, and another attempt would too: {message}. Raise "
            "PodResources.scratch, "
            "shared_memory or scratch_class, or have fewer bytes in flight with "
            "execution.max_bytes_in_flight",
            retryable=False,
        )
    return PodEvictedError(f"{facts} was evicted, since its node ran short: {message}. {_GOES_ON}")


def _image(facts: PodFacts, _: StageResult | None) -> PodError | None:
    for name, waiting in facts.waiting():
        reason = waiting.get("reason")
        if reason not in _IMAGE_REASONS:
            continue
        # A kubelet that backs off says nothing more; why is in the event of the attempt before.
        tried = next((event.get("message") or "" for event in facts.events_of("Failed")), "")
        message = f"{waiting.get('message') or ''} {tried}".strip()
        passing = reason in _PULL_REASONS and any(words in message.lower() for words in _PASSING)
        remedy = (
            "The registry did not answer as it should; another attempt may succeed"
            if passing
            else "Check the image's name and tag, and that the namespace has its image_pull_secrets"
        )
        return PodImageError(
            f"{facts}: the image of container {name!r} cannot be pulled ({reason}): {message}. {remedy}",
            retryable=passing,
        )
    return None


def _configuration(facts: PodFacts, _: StageResult | None) -> PodError | None:
    for name, waiting in facts.waiting():
        if waiting.get("reason") in _CONFIG_REASONS:
            return PodStartError(
                f"{facts}: container {name!r} cannot be made ({waiting['reason']}): "
                f"{waiting.get('message')}. Check the "
                "Secrets, ConfigMaps and service account that the pod names",
                retryable=False,
            )
    for status in facts.status.get("initContainerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return PodStartError(
                f"{facts}: init container {status['name']!r} ended with code {ended['exitCode']}: "
                f"{ended.get('message') or ended.get('reason')}"
            )
    return None


def _ended(facts: PodFacts, result: StageResult | None) -> PodError:
    """Judge a container that ended by itself, or by a signal that nothing explains."""
    state = facts.state("terminated")
    code = state.get("exitCode")
    if code in (_COMMAND, _NOT_FOUND) or state.get("reason") in ("ContainerCannotRun", "StartError"):
        return PodStageError(
            f"{facts}: the image has no 'aiopt' that runs ({state.get('message') or f'exit code {code}'}). "
            "Use the "
            "runtime image of this package, in the same version as here",
            retryable=False,
        )
    words: dict[Any, Callable[[], str]] = {
        0: lambda: "the stage ended well, but what watched it did not",
        _KILLED: lambda: "it was killed from outside (SIGKILL), and not for want of memory",
        _TERMINATED: lambda: "it was told to end (SIGTERM), and nothing says by whom",
    }
    because = words.get(code, lambda: _words(facts, result))()
    return PodStageError(f"{facts}: {because}. {_GOES_ON}")


def _words(facts: PodFacts, result: StageResult | None) -> str:
    if result is not None and result.error:
        return result.error
    state = facts.state("terminated")
    return (state.get("message") or "").strip() or f"the stage failed with exit code {state.get('exitCode')}"


def _after(waited: str) -> str:
    return f" in time: {waited}" if waited else ""
