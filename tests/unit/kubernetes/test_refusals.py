from __future__ import annotations

import json

import pytest

from airflow_provider_aiopt.kubernetes.refusals import refused

RBAC = 'pods is forbidden: User "system:serviceaccount:a:w" cannot create resource "pods" in API group ""'
CASES = [
    (403, RBAC, False, "Give Airflow's service account a Role"),
    (
        403,
        'pods "x" is forbidden: exceeded quota: gpus, requested: 1, used: 4, limited: 4',
        True,
        "ResourceQuota",
    ),
    (403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', False, "admission rule"),
    (404, 'namespaces "ai" not found', False, "Create it, or name another"),
    (401, "Unauthorized", True, "kubernetes_conn_id"),
    (422, "Pod is invalid: spec.containers[0].image: Required value", False, "Check what the operator"),
    (429, "too many requests", True, "Another attempt"),
    (503, "etcd leader changed", True, "Another attempt"),
]


@pytest.mark.parametrize(("status", "said", "retryable", "remedy"), CASES, ids=lambda case: str(case)[:12])
def test_refusals_are_told_apart(status: int, said: str, retryable: bool, remedy: str) -> None:
    error = refused(status, json.dumps({"kind": "Status", "message": said}), "ai")
    assert str(error).startswith(f"The Kubernetes API refused a pod in namespace 'ai': {said}. ")
    assert remedy in str(error)
    assert error.retryable is retryable


def test_an_answer_that_is_no_status_is_shown_as_it_is() -> None:
    assert "<html>bad gateway</html>" in str(refused(502, "<html>bad gateway</html>", "ai"))
    assert "HTTP 500" in str(refused(500, "", "ai"))
    assert "['a']" not in str(refused(500, '["a"]', "ai"))
    assert refused(0, "the API server does not answer", "ai").retryable
