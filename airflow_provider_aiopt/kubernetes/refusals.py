"""What the Kubernetes API's refusals mean."""

from __future__ import annotations

import json

from airflow_provider_aiopt.exceptions import PodRefusedError

_FORBIDDEN, _NOT_FOUND, _UNAUTHORISED = 403, 404, 401
_ROLE = (
    "Give Airflow's service account a Role there: create, get, list, watch, patch and delete of pods, get of "
    "pods/log and list of events; for specs over the argument limit create of configmaps, for results by "
    "XCom "
    "create and get of pods/exec"
)
_PASSING = {0, 408, 409, 429, 500, 502, 503, 504}


def refused(status: int, body: str, namespace: str) -> PodRefusedError:
    """Tell what an answer of the Kubernetes API that is no success means for a pod.

    :param status: the HTTP status, 0 where there was no answer
    :param body: the answer's body, as a rule a Kubernetes ``Status`` in JSON
    :param namespace: where the pod was to be
    :returns: the error to raise
    """
    said = _message(body) or f"HTTP {status}"
    where = f"The Kubernetes API refused a pod in namespace {namespace!r}: {said}."
    remedy, passing = _remedy(status, said)
    return PodRefusedError(f"{where} {remedy}", retryable=passing)


def _remedy(status: int, said: str) -> tuple[str, bool]:
    """Return what to do, and whether the same request may succeed another time."""
    if status == _FORBIDDEN:
        return _permission(said)
    if status == _NOT_FOUND and "namespaces" in said:
        return "Create it, or name another with the operator's namespace", False
    if status == _UNAUTHORISED:
        return "Check the credentials of the connection kubernetes_conn_id", True
    if status in _PASSING:
        return "Another attempt may succeed", True
    return "Check what the operator and PodResources ask for", False


def _permission(said: str) -> tuple[str, bool]:
    if "exceeded quota" in said:
        return "Wait for other pods to end, or raise the namespace's ResourceQuota", True
    if "cannot" in said:
        return _ROLE, False
    return (
        "An admission rule of the cluster forbids the pod as it is: change PodResources, or the rule",
        False,
    )


def _message(body: str) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return body.strip()[:500]
    return str(answer.get("message") or "") if isinstance(answer, dict) else body.strip()[:500]
