"""What a stage's pod is given."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from airflow_provider_aiopt.exceptions import ConfigurationError

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""By this label Kueue holds a pod back until its queue admits it."""

_MINUTE_S = 60
_DAY_S = 24 * 60 * _MINUTE_S


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"),
    BeforeValidator(_as_text),
]
"""An amount as Kubernetes writes it: cores such as ``500m`` or ``2``, bytes such as ``512Mi`` or ``16Gi``."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)


class Toleration(_Settings):
    """A taint that the pod may be placed in spite of.

    :param key: the taint's key; None with ``Exists`` tolerates every taint
    :param operator: ``Exists`` for any value, ``Equal`` for *value*
    :param value: the taint's value
    :param effect: ``NoSchedule``, ``PreferNoSchedule`` or ``NoExecute``; None for all
    """

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class PodResources(_Settings):
    """What a stage's pod is given, beyond its image.

    :param gpus: GPUs; they are never shared, and the usual taint of GPU nodes is tolerated
    :param gpu_resource: the name under which the cluster offers them, for example that of a MIG slice
    :param cpu: cores that are reserved; more are used where they are idle
    :param cpu_limit: cores that it may never exceed; None, since a limit throttles it even on an idle node
    :param memory: bytes that are reserved, and the limit beyond which the pod is killed
    :param node_selector: labels that the node must have
    :param tolerations: taints of nodes that it may run on
    :param runtime_class: the RuntimeClass, for example ``nvidia`` where it is not the node's default
    :param shared_memory: size of ``/dev/shm``, in memory and counted in *memory*; None for the container
        runtime's 64 MiB
    :param scratch: size of ``/tmp``, the only place it may write to beside volumes; a pod that writes more
        is evicted
    :param scratch_class: StorageClass of ``/tmp``; None for the node's own disk
    :param model_cache: claim of the volume that keeps downloaded models and TensorRT engines from pod to pod;
        it must allow ``ReadWriteMany`` where pods run on several nodes.  None: each pod begins with none
    :param claims: further volumes by the path they appear at, for sources and workspaces that are folders:
        ``{"/data": "photographs"}``
    :param service_account: by which the pod is known to the object store, and nothing else: it gets no token
        for the Kubernetes API
    :param priority_class: who may preempt whom
    :param queue: Kueue's LocalQueue, which decides when the pod may start
    """

    gpus: int = Field(default=0, ge=0)
    gpu_resource: str = "nvidia.com/gpu"
    cpu: Quantity = "1"
    cpu_limit: Quantity | None = None
    memory: Quantity = "2Gi"
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    runtime_class: str | None = None
    shared_memory: Quantity | None = None
    scratch: Quantity = "10Gi"
    scratch_class: str | None = None
    model_cache: str | None = None
    claims: dict[str, str] = Field(default_factory=dict)
    service_account: str | None = None
    priority_class: str | None = None
    queue: str | None = None

    @model_validator(mode="after")
    def _paths_are_absolute(self) -> Self:
        for path in self.claims:
            if not path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"claims: {path!r} is no absolute path in the pod")
        return self

    @classmethod
    def read(cls, values: object, where: str) -> PodResources:
        """Build from plain values.

        :param values: a mapping of the parameters
        :param where: where they come from, for the message
        :raises ConfigurationError: naming every parameter at fault
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg']}"
                for item in error.errors(include_url=False)
            )
            raise ConfigurationError(f"{where} is wrong: {faults}") from None

    @property
    def schedule_timeout_s(self) -> int:
        """Seconds to wait for a node: a day in a queue, half an hour where one with GPUs may have to be made.

        Making a GPU node takes cloud providers 3 to 15 minutes, and spot capacity may have to be waited for.
        """
        if self.queue:
            return _DAY_S
        return 30 * _MINUTE_S if self.gpus else 5 * _MINUTE_S

    @property
    def startup_timeout_s(self) -> int:
        """Seconds from a node to a running container: on a new GPU node several GB of image are pulled."""
        return 20 * _MINUTE_S if self.gpus else 5 * _MINUTE_S

    @property
    def all_tolerations(self) -> tuple[Toleration, ...]:
        """The tolerations, with that of nodes that are kept for GPU work."""
        own = (Toleration(key=self.gpu_resource, effect="NoSchedule"),) if self.gpus else ()
        return (*self.tolerations, *(item for item in own if item not in self.tolerations))
