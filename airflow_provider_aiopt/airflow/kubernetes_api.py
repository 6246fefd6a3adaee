"""From the Kubernetes client's objects and errors to the plain values that decisions are made on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from kubernetes.client import CoreV1Api, V1Pod
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from airflow_provider_aiopt.exceptions import PodRefusedError
from airflow_provider_aiopt.kubernetes.refusals import refused
from airflow_provider_aiopt.kubernetes.status import Json, PodFacts

log = logging.getLogger(__name__)

_FORBIDDEN, _NOT_FOUND = 403, 404


def look_at(client: CoreV1Api, name: str, namespace: str) -> PodFacts:
    """Return what the API server knows of a pod.

    Events and nodes are asked for as far as permissions go: they only make messages clearer.

    :param client: a client of the API server
    :param name: the pod's name
    :param namespace: its namespace
    :raises kubernetes.client.exceptions.ApiException: if the pod itself cannot be asked for
    """
    try:
        pod = plain(client, client.read_namespaced_pod(name, namespace))
    except ApiException as error:
        if error.status != _NOT_FOUND:
            raise
        pod = None
    facts = PodFacts(namespace, name, pod, events=_events(client, name, namespace))
    if pod is None or facts.spec.get("nodeName"):
        return facts
    return PodFacts(namespace, name, pod, events=facts.events, nodes=_nodes(client))


def plain(client: CoreV1Api, item: Any) -> Json:
    """Return an object of the client's as the JSON that the API server has of it."""
    found: Json = client.api_client.sanitize_for_serialization(item)
    return found


def api_error(error: ApiException | HTTPError, namespace: str) -> PodRefusedError:
    """Return what an error of the client means for a pod.

    :param error: an answer that is no success, or none at all
    :param namespace: the pod's
    """
    if isinstance(error, ApiException):
        return refused(int(error.status or 0), str(error.body or error.reason or ""), namespace)
    return refused(0, f"the API server does not answer ({error})", namespace)


def forbidden(error: BaseException | None) -> ApiException | None:
    """Return the refusal for want of a permission that led to *error*, None where none did.

    Airflow's operator cleans up behind an error, and what fails then hides it.
    """
    while error is not None:
        if isinstance(error, ApiException) and error.status == _FORBIDDEN:
            return error
        error = error.__cause__ or error.__context__
    return None


def pod_of(manifest: Json) -> V1Pod:
    """Return a manifest as the client's object."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    pod: V1Pod = PodGenerator.deserialize_model_dict(dict(manifest))
    return pod


def _events(client: CoreV1Api, name: str, namespace: str) -> Sequence[Json]:
    try:
        found = client.list_namespaced_event(namespace, field_selector=f"involvedObject.name={name}")
    except (ApiException, HTTPError) as error:
        log.info("The events of pod %s/%s cannot be read: %s", namespace, name, _reason(error))
        return ()
    events = [plain(client, event) for event in found.items]
    return sorted(events, key=_when)


def _when(event: Json) -> str:
    return str(
        event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def _nodes(client: CoreV1Api) -> Sequence[Json] | None:
    try:
        return [plain(client, node) for node in client.list_node().items]
    except (ApiException, HTTPError) as error:
        log.info(
            "The cluster's nodes cannot be read, so that what they offer is not known: %s", _reason(error)
        )
        return None


def _reason(error: ApiException | HTTPError) -> str:
    return f"HTTP {error.status} {error.reason}" if isinstance(error, ApiException) else str(error)
