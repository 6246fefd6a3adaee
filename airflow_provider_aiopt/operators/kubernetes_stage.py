"""A stage, or a whole pipeline, in a pod of its own, as an Airflow operator."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_aiopt.exceptions import (
    AioptError,
    MissingExtraError,
    PodLostError,
    PodRefusedError,
    SpecError,
)

try:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
except ImportError as error:
    raise MissingExtraError(
        "airflow.providers.cncf.kubernetes", "kubernetes", "KubernetesStageOperator"
    ) from error
from kubernetes.client import V1Pod
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from airflow_provider_aiopt.airflow.config import option
from airflow_provider_aiopt.airflow.context import run_context
from airflow_provider_aiopt.airflow.failures import no_vain_retries, raised_by_airflow
from airflow_provider_aiopt.airflow.kubernetes_api import api_error, forbidden, look_at, plain, pod_of
from airflow_provider_aiopt.airflow.pod_results import account, find_result, parse_result, returned
from airflow_provider_aiopt.airflow.queueing import send_queue_time
from airflow_provider_aiopt.kubernetes.command import (
    SpecBy,
    StageCommand,
    check_spec,
    pod_uri,
    spec_needs_file,
)
from airflow_provider_aiopt.kubernetes.failures import classify
from airflow_provider_aiopt.kubernetes.manifest import CONTAINER_SECURITY, spec_config_map, stage_pod
from airflow_provider_aiopt.kubernetes.resources import PodResources
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink
from airflow_provider_aiopt.operators.base import check_shards, parse_refs
from airflow_provider_aiopt.runner.work import FIRST_WORK, WORK

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_aiopt.kubernetes.status import PodFacts
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.runner.stage_result import StageResult
    from airflow_provider_aiopt.spec.loading import SpecLike

_SPEC_VOLUME = "spec"
_NOT_FOUND, _EXISTS = 404, 409
_DEFAULTS: dict[str, Any] = {
    "termination_message_policy": "FallbackToLogsOnError",
    "xcom_sidecar_container_security_context": CONTAINER_SECURITY,
    "log_pod_spec_on_failure": False,
}
"""What this package would have otherwise than Kubernetes' operator has it."""


class _DryInstance:
    """The task instance of a dry run, which shows the pod that a task would make."""

    dag_id, run_id, task_id, map_index, try_number = "dag", "run", "task", -1, 1


_DRY = {"ti": _DryInstance()}


class KubernetesStageOperator(KubernetesPodOperator):
    """Runs one stage, the whole pipeline or its plan in a pod of the runtime image.

    It takes and gives what the operator of the same stage does, so that the two can be mixed in one DAG.  The
    pod's time is split into the XCom ``pod_timings``.  An error that no retry helps fails the task at once.

    :param stage: ``ingest``, ``preprocess``, ``inference``, ``postprocess``, ``pipeline`` or ``plan``
    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`; it names no Airflow
        connection and holds no credentials, since the pod has its own
    :param shard: the earlier task's output, one reference or several (templated); none for ``ingest``,
        ``plan`` and a ``pipeline`` that lists the source itself
    :param workspace: the run's folder (templated), which the pod reaches under the same name; default
        ``[aiopt] work_dir`` / DAG id / run id
    :param image: the runtime image (templated); default ``[aiopt] pod_image``
    :param pod_resources: what the pod is given
    :param spec_by: how the spec gets there: ``argument``, ``config_map``, or ``auto`` for an argument where
        the spec fits into one
    :param result_by: how the result comes back: a file in the ``workspace``, or ``xcom``, Airflow's sidecar,
        which needs the permission to execute commands in pods
    :param startup_timeout_seconds: from a node to the running container; default by *pod_resources*: 5
        minutes, with GPUs 20
    :param schedule_timeout_seconds: until a node is found; default by *pod_resources*: 5 minutes, with GPUs
        30, in a queue a day
    :param kwargs: parameters of ``KubernetesPodOperator``, which override what *pod_resources* says
    """

    template_fields: Sequence[str] = (*KubernetesPodOperator.template_fields, "spec", "workspace", "shard")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **KubernetesPodOperator.template_fields_renderers,
        "spec": "json",
    }
    ui_color = "#e8f0fe"
    operator_extra_links = (StageTimingsLink(),)

    def __init__(
        self,
        *,
        stage: str,
        spec: SpecLike,
        shard: str | Sequence[str] | XComArg | None = None,
        workspace: str | None = None,
        image: str | None = None,
        pod_resources: PodResources | Mapping[str, Any] | None = None,
        spec_by: SpecBy = "auto",
        result_by: Literal["workspace", "xcom"] = "workspace",
        startup_timeout_seconds: int | None = None,
        schedule_timeout_seconds: int | None = None,
        do_xcom_push: bool = True,
        **kwargs: Any,
    ) -> None:
        found = PodResources.read(pod_resources or {}, "pod_resources")
        by_dag = kwargs.get("default_args") or {}
        kwargs = {name: value for name, value in _DEFAULTS.items() if name not in by_dag} | kwargs
        super().__init__(
            image=image,
            startup_timeout_seconds=startup_timeout_seconds or found.startup_timeout_s,
            schedule_timeout_seconds=schedule_timeout_seconds or found.schedule_timeout_s,
            do_xcom_push=do_xcom_push,
            **kwargs,
        )
        self.stage = stage
        self.spec = spec
        self.shard = shard
        self.workspace = workspace
        self.pod_resources = found
        self.spec_by = spec_by
        self.result_by = result_by
        self._own_pod_spec = self.full_pod_spec
        self._spec_json = ""
        self._pod_name: tuple[str, str] | None = None
        self._facts: PodFacts | None = None
        self._xcom: Any = None
        self._value: Any = None

    def execute(self, context: Context) -> Any:
        """Run the stage in a pod, or defer until it has ended.

        :returns: what the operator of the same stage returns
        :raises PodError: one of its subclasses, where another attempt may do better
        :raises AirflowFailException: where none would
        """
        with self._told_apart(context):
            send_queue_time(context, self.stage)
            self.image = self.image or option("pod_image")
            super().execute(context)
            return self._finish(context)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on when the trigger has seen the pod end."""
        self._pod_name = event["namespace"], event["name"]
        with self._told_apart(context):
            super().trigger_reentry(context, event)
            return self._finish(context)

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> V1Pod:
        """Build the pod: what the stage needs, below what the operator's parameters and templates say."""
        from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

        command = self._command(context)
        self._spec_json = command.spec_json
        by_file = spec_needs_file(command.spec_json, self.spec_by)
        name = f"aiopt-spec-{uuid.uuid4().hex[:12]}" if by_file else None
        ours = pod_of(stage_pod(self.pod_resources, command.arguments(spec_file=by_file), config_map=name))
        self.full_pod_spec = PodGenerator.reconcile_pods(ours, self._own_pod_spec)
        with self._sidecar():
            pod: V1Pod = super().build_pod_request_obj(context, dry_run=dry_run)
        return pod

    def get_or_create_pod(self, pod_request_obj: V1Pod, context: Context) -> V1Pod:
        """Take over the pod of a worker that died, or make one, and bring it its spec."""
        self._pod_name = pod_request_obj.metadata.namespace, ""
        self.pod = super().get_or_create_pod(pod_request_obj, context)
        self._pod_name = self.pod.metadata.namespace, self.pod.metadata.name
        self._bring_spec(self.pod)
        return self.pod

    def post_complete_action(
        self, *, pod: V1Pod, remote_pod: V1Pod, context: Context, result: dict[str, Any] | None, **kwargs: Any
    ) -> None:
        """Look at the pod once more before it is removed."""
        self._xcom = result
        self._facts = self._look()
        super().post_complete_action(pod=pod, remote_pod=remote_pod, context=context, result=result, **kwargs)

    @contextmanager
    def _told_apart(self, context: Context) -> Iterator[None]:
        """Turn what the block raises about the pod into errors that say why, and whether to try again."""
        with no_vain_retries(), self._sidecar():
            try:
                yield
            except (ApiException, HTTPError) as error:
                if isinstance(error, ApiException) and error.status == _NOT_FOUND and self._has_pod:
                    raise self._failure(context, error) from error
                raise self._refused(error) from error
            except Exception as error:
                if not (self._has_pod and raised_by_airflow(error)):
                    raise
                if denied := forbidden(error):
                    raise self._refused(denied) from error
                raise self._failure(context, error) from error

    @property
    def _has_pod(self) -> bool:
        return bool(self._pod_name and self._pod_name[1])

    def _finish(self, context: Context) -> Any:
        """Account for a pod that ended well, once, and return what the task hands on."""
        if self._value is None:
            result = self._result(context)
            account(context, self.stage, self._facts, result)
            if result is None:
                raise PodLostError(
                    f"Pod {'/'.join(self._pod_name or ())} ended well, but its result cannot be found. "
                    "Check that pods and Airflow reach the same workspace under the same name"
                )
            self._value = returned(result, self.shard)
        return self._value

    def _failure(self, context: Context, error: Exception) -> AioptError:
        """Account for a pod that failed and return why."""
        facts = self._facts or self._look()
        if facts is None:
            return PodLostError(f"Pod {'/'.join(self._pod_name or ())} failed: {error}")
        try:
            result = self._result(context)
        except AioptError as unreadable:
            self.log.warning("The pod's result cannot be read: %s", unreadable)
            result = None
        account(context, self.stage, facts, result)
        return classify(facts, result=result, waited=str(error) if "too long" in str(error) else "")

    def _refused(self, error: ApiException | HTTPError) -> PodRefusedError:
        """Return what the API server's refusal means, and take back a pod that may not be followed.

        No other attempt would follow it either, so it would go on with nobody to see its end.
        """
        namespace, name = self._pod_name or ("", "")
        if name and forbidden(error):
            self.log.warning("Pod %s/%s is removed, since it may not be followed", namespace, name)
            with suppress(ApiException, HTTPError):
                self.client.delete_namespaced_pod(name, namespace)
        return api_error(error, namespace)

    def _result(self, context: Context) -> StageResult | None:
        if self.result_by == "xcom":
            return parse_result(self._xcom)
        return find_result(self._run(context).workspace.uri, (self._pod_name or ("", ""))[1])

    @contextmanager
    def _sidecar(self) -> Iterator[None]:
        """Let Kubernetes' operator see whether a sidecar hands the result on.

        To it ``do_xcom_push`` means just that; to Airflow, which asks afterwards, that what ``execute``
        returns is kept.
        """
        wanted = self.do_xcom_push
        self.do_xcom_push = self.result_by == "xcom"
        try:
            yield
        finally:
            self.do_xcom_push = wanted

    def _command(self, context: Context | None) -> StageCommand:
        """Return what the pod is to do.

        :raises SpecError: if the pod cannot do it
        """
        run = self._run(context)
        check_spec(run.spec)
        if self.stage in FIRST_WORK:
            check_shards(run)
        task = run.task
        assert task is not None  # noqa: S101 - run_context always knows it
        return StageCommand(
            work=self.stage,
            spec=run.spec,
            workspace=pod_uri(run.workspace.uri),
            task=task,
            shards=[] if self.shard is None else [str(ref) for ref in parse_refs(self.shard)],
            allowed_callables=run.allowed_callables,
            max_shards=run.max_shards,
            hardware_interval_s=run.hardware_interval_s,
            xcom=self.result_by == "xcom",
        )

    def _run(self, context: Context | None) -> RunContext:
        if self.stage not in WORK:
            raise SpecError(f"stage is {self.stage!r}; a pod can do {', '.join(WORK)}")
        return run_context(context or _DRY, self.spec, self.workspace)

    def _bring_spec(self, pod: V1Pod) -> None:
        """Make the ConfigMap that a pod waits for, as a part of it: it goes when the pod does."""
        volumes = pod.spec.volumes or []
        name = next(
            (item.config_map.name for item in volumes if item.name == _SPEC_VOLUME and item.config_map), None
        )
        if name is None:
            return
        namespace = pod.metadata.namespace
        made = plain(self.client, self.client.read_namespaced_pod(pod.metadata.name, namespace))
        manifest = spec_config_map(name, self._spec_json, owner=made)
        try:
            self.client.create_namespaced_config_map(namespace, manifest)
        except ApiException as error:
            if error.status != _EXISTS:  # as where the worker that made the pod made it as well
                raise

    def _look(self) -> PodFacts | None:
        """Return what is known of the pod, None where there is none or the API server does not answer."""
        if self._pod_name is None or not self._has_pod:
            return None
        namespace, name = self._pod_name
        try:
            return look_at(self.client, name, namespace)
        except (ApiException, HTTPError) as error:
            self.log.warning("Pod %s/%s cannot be looked at: %s", namespace, name, error)
            return None
