"""The command line of a stage's pod, and how the spec gets there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.kubernetes.manifest import POD_VARIABLE, SPEC_FILE, SPEC_FOLDER
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.telemetry.reports import TaskIdentity

ARGUMENT_BYTES = 128 * 1024 - 1
"""Most bytes of one argument: Linux's ``MAX_ARG_STRLEN``, 32 pages of 4 KiB with the terminating zero."""

CONFIG_MAP_BYTES = 1024 * 1024
"""Most bytes that a ConfigMap's data may have: Kubernetes' ``MaxConfigMapSize``."""

XCOM_RESULT = "/airflow/xcom/return.json"
"""Where Airflow's sidecar looks for what a pod returns."""

_SECRET = re.compile(r"(key|secret|token|passw|credential|sas|connection_string|auth)", re.IGNORECASE)
_PUBLIC = {"anon", "key_prefix", "token_endpoint", "endpoint_url"}

SpecBy = Literal["auto", "argument", "config_map"]


@dataclass(frozen=True, slots=True)
class StageCommand:
    """What a pod is to do.

    :param work: one of :data:`~airflow_provider_aiopt.runner.work.WORK`
    :param spec: the pipeline
    :param workspace: the run's folder as the pod reaches it
    :param task: the Airflow task
    :param shards: references to the shards to work on
    :param allowed_callables: prefixes of the dotted paths that the spec may name
    :param max_shards: how many shards the run may have
    :param hardware_interval_s: seconds between two samples of the hardware, 0 for none
    :param xcom: whether the result goes to Airflow's sidecar instead of the workspace
    """

    work: str
    spec: PipelineSpec
    workspace: str
    task: TaskIdentity
    shards: Sequence[str] = ()
    allowed_callables: Sequence[str] = ()
    max_shards: int = 64
    hardware_interval_s: float = 1.0
    xcom: bool = False

    @property
    def spec_json(self) -> str:
        """The spec in one line, without what has its default."""
        return json.dumps(self.spec.to_dict(), separators=(",", ":"))

    def arguments(self, *, spec_file: bool) -> list[str]:
        """Return the arguments of ``aiopt``, with what Kubernetes would replace in them protected.

        :param spec_file: whether the spec is in a file, which a ConfigMap brings
        """
        result = (
            XCOM_RESULT if self.xcom else literal(result_uri(self.workspace, "")) + f"$({POD_VARIABLE}).json"
        )
        given = {
            "spec": f"{SPEC_FOLDER}/{SPEC_FILE}" if spec_file else self.spec_json,
            "workspace": self.workspace,
            "run-id": self.task.run_id,
            "dag-id": self.task.dag_id,
            "task-id": self.task.task_id,
            "map-index": str(self.task.map_index),
            "try-number": str(self.task.try_number),
            "max-shards": str(self.max_shards),
            "hardware-interval": f"{self.hardware_interval_s:g}",
        }
        named = [f"--{name}={literal(value)}" for name, value in given.items()]
        named += [f"--shard={literal(shard)}" for shard in self.shards]
        named += [f"--allow-callables={literal(prefix)}" for prefix in self.allowed_callables]
        return ["stage", self.work, *named, f"--result={result}"]


def result_uri(workspace: str, pod: str) -> str:
    """Return where in the workspace a pod leaves its result.

    :param workspace: the run's folder
    :param pod: the pod's name; a pod that a retry takes over still writes to the same place
    :returns: its URI; without *pod* that of the folder, with a slash at its end
    """
    return f"{workspace.rstrip('/')}/pods/{pod}" + (".json" if pod else "")


def literal(text: str) -> str:
    """Protect *text* from Kubernetes, which replaces ``$(VAR)`` in arguments and reads ``$$`` as ``$``."""
    return text.replace("$", "$$")


def spec_needs_file(spec: str, by: SpecBy) -> bool:
    """Decide whether a spec is brought by a ConfigMap, because it is to be or because no argument holds it.

    :param spec: the spec as JSON
    :param by: what the user wants
    :raises SpecError: if the spec is larger than what carries it may be
    """
    size = len(f"--spec={literal(spec)}".encode())
    if by == "argument" and size > ARGUMENT_BYTES:
        raise SpecError(
            f"The spec makes an argument of {size:,} bytes; Linux allows {ARGUMENT_BYTES:,}. Hand it over by "
            "ConfigMap, with spec_by='auto' or 'config_map'"
        )
    needed = by == "config_map" or size > ARGUMENT_BYTES
    if needed and (size := len(spec.encode())) > CONFIG_MAP_BYTES:
        raise SpecError(
            f"The spec has {size:,} bytes as JSON; a ConfigMap holds {CONFIG_MAP_BYTES:,} at most. Put what "
            "makes it "
            "large into a file that the pod reads: source.manifest for a list of uploads, a file or module "
            "for "
            "source.arguments"
        )
    return needed


def check_spec(spec: PipelineSpec) -> None:
    """Refuse a spec that a pod cannot use, or that would show credentials in the pod's manifest.

    :param spec: the pipeline
    :raises SpecError: naming every key at fault
    """
    faults = [*_connections(spec), *_secrets(spec)]
    if faults:
        raise SpecError(
            "The spec cannot be handed to a pod: "
            + "; ".join(faults)
            + ". A pod has credentials of its own: give it a service account with "
            "PodResources.service_account, or "
            "environment variables from a Kubernetes Secret with env_from"
        )


def _connections(spec: PipelineSpec) -> Iterator[str]:
    for name in ("source", "model", "sink"):
        section = getattr(spec, name)
        if section.connection is not None:
            yield f"{name}.connection is {section.connection!r}, an Airflow connection, which only Airflow "
            "knows"
        if _connection_of(section.uri or ""):
            yield f"{name}.uri names an Airflow connection or a password before '@'"


def _secrets(spec: PipelineSpec) -> Iterator[str]:
    for name in ("source", "model", "sink"):
        for key in _secret_keys(getattr(spec, name).storage_options):
            yield f"{name}.storage_options.{key} looks like a credential, which anyone who may read pods "
            "would see"


def _secret_keys(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _secret_keys(value, f"{prefix}{key}.")
        elif key not in _PUBLIC and _SECRET.search(key) and value not in (None, False, True):
            yield f"{prefix}{key}"


def pod_uri(uri: str) -> str:
    """Return *uri* as a pod reaches it: without an Airflow connection in ``s3://connection@bucket/path``."""
    connection = _connection_of(uri)
    return uri.replace(f"{connection}@", "", 1) if connection else uri


def _connection_of(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    connection, at, _ = rest.partition("/")[0].rpartition("@")
    return connection if scheme and separator and at else ""
