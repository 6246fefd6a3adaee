"""The node of a fake Kubernetes: it schedules pods and runs their containers as processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernetes_objects import Json, Objects, now

SIDECAR = "airflow-xcom-sidecar"
SCRATCH = "/tmp"
PULL = "Successfully pulled image {image!r} in 1.25s (1.25s including waiting). Image size: 104857600 bytes."
_VARIABLE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_KILLED = 137


class Container:
    """A container: a process, or for Airflow's sidecar nothing but its states.

    :param name: its name
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[str] | None = None
        self.state: Json = {"waiting": {"reason": "ContainerCreating"}}
        self._lines: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    @property
    def ended(self) -> bool:
        return "terminated" in self.state

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.run()

    def run(self) -> None:
        self.state = {"running": {"startedAt": now()}}

    def read(self) -> int:
        """Take in the process's output until it ends; return its exit code as a shell has it."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
                self._lines.append((moment, line.rstrip("\n")))
                self._changed.notify_all()
        code = self.process.wait()
        self.process.stdout.close()
        return 128 - code if code < 0 else code

    def end(self, code: int, *, reason: str = "", fallback_to_logs: bool = False) -> None:
        with self._changed:
            started = self.state.get("running", {}).get("startedAt", now())
            state: Json = {"exitCode": code, "startedAt": started, "finishedAt": now()}
            state["reason"] = reason or ("Error" if code else "Completed")
            if code and fallback_to_logs:  # the last 80 lines or 2,048 bytes
                state["message"] = "\n".join(line for _, line in self._lines[-80:])[-2048:]
            self.state = {"terminated": state}
            self._changed.notify_all()

    def lines(self, *, follow: bool) -> Iterator[tuple[str, str]]:
        """Yield what it wrote, until it ends where *follow* is set."""
        place = 0
        while True:
            with self._changed:
                while follow and place == len(self._lines) and not self.ended:
                    self._changed.wait(1)
                new, done = self._lines[place:], self.ended or not follow
            yield from new
            place += len(new)
            if done and place == len(self._lines):
                return


class PodRun:
    """A pod on the node.

    :param node: the node
    :param pod: the pod as it was created
    """

    def __init__(self, node: Node, pod: Json) -> None:
        self.pod = pod
        self.containers = {item["name"]: Container(item["name"]) for item in pod["spec"]["containers"]}
        self.deleted = threading.Event()
        self._node = node
        self._objects = node.objects
        self._folders: dict[str, Path] = {}
        self._override: Json = {}
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        process = self.containers["base"].process
        return process is not None and process.poll() is None

    @property
    def name(self) -> str:
        found: str = self.pod["metadata"]["name"]
        return found

    def stop(self, grace_s: float | None = None) -> None:
        """End its containers as a kubelet does: SIGTERM, and SIGKILL when the grace period is over."""
        self.deleted.set()
        spec = self.pod["spec"].get("terminationGracePeriodSeconds")
        base = self.containers["base"]
        if base.process is not None and base.process.poll() is None:
            base.process.send_signal(signal.SIGTERM)
            try:
                base.process.wait((30 if spec is None else spec) if grace_s is None else grace_s)
            except subprocess.TimeoutExpired:
                base.process.kill()
        self.end_sidecar()
        if threading.current_thread() is not self._thread:
            self._thread.join(30)

    def end_sidecar(self) -> None:
        sidecar = self.containers.get(SIDECAR)
        if sidecar is not None and not sidecar.ended:
            sidecar.end(0)
            self.show()

    def kill_for_memory(self) -> None:
        """Kill it as the kernel does where its control group has no memory left."""
        self._override = {"reason": "OOMKilled"}
        process = self.containers["base"].process
        assert process is not None
        process.kill()

    def show(self, **status: Any) -> None:
        """Write its status down."""
        names = [item["name"] for item in self.pod["spec"]["containers"]]
        states = [self.containers[name] for name in names]
        if all(item.ended for item in states):
            failed = any(item.state["terminated"]["exitCode"] for item in states)
            status.setdefault("phase", "Failed" if failed else "Succeeded")
        elif any("running" in item.state or item.ended for item in states):
            status.setdefault("phase", "Running")
        shown = [
            {
                "name": item.name,
                "state": item.state,
                "ready": "running" in item.state,
                "restartCount": 0,
                "image": "image",
                "imageID": "",
            }
            for item in states
        ]
        self._objects.patch(self.pod, {"status": {"containerStatuses": shown, **status}})

    def rewritten(self, text: str, container: str, *, scratch: bool = False) -> str:
        """Put folders of this machine in the place of the paths that volumes have in a container."""
        spec = next(item for item in self.pod["spec"]["containers"] if item["name"] == container)
        for mount in spec.get("volumeMounts", ()):
            path = mount["mountPath"]
            if path != SCRATCH or scratch:  # tests lie below it as well
                text = text.replace(path, str(self._folders[mount["name"]]))
        return text

    def _live(self) -> None:
        if not self._schedule() or not self._prepare_volumes() or not self._pull():
            return
        for spec in self.pod["spec"]["containers"]:
            container = self.containers[spec["name"]]
            if spec["name"] == SIDECAR:
                container.run()
            else:
                self._start(spec, container)
        self.show(startTime=now())
        base = self.containers["base"]
        code = base.read()
        policy = self._spec("base").get("terminationMessagePolicy")
        base.end(code, fallback_to_logs=policy == "FallbackToLogsOnError", **self._override)
        self.show()

    def _schedule(self) -> bool:
        labels = self.pod["metadata"].get("labels") or {}
        gated = "kueue.x-k8s.io/queue-name" in labels and not self._node.admits
        lacking = self._node.lacking(self.pod)
        if not gated and not lacking:
            self._condition("PodScheduled", "True")
            self._objects.patch(self.pod, {"spec": {"nodeName": "node"}})
            self._objects.event(self.pod, "Scheduled", f"Successfully assigned {self.name} to node")
            self.show()
            return True
        if gated:
            self._condition("PodScheduled", "False", "SchedulingGated", "Scheduling is blocked due to gates")
        else:
            said = f"0/1 nodes are available: 1 {lacking}. preemption: 0/1 nodes are available."
            self._condition("PodScheduled", "False", "Unschedulable", said)
            self._objects.event(self.pod, "FailedScheduling", said, warning=True)
        self.deleted.wait()
        return False

    def _condition(self, kind: str, status: str, reason: str = "", message: str = "") -> None:
        found = {"type": kind, "status": status, "lastTransitionTime": now()}
        found |= {key: value for key, value in (("reason", reason), ("message", message)) if value}
        self._objects.patch(self.pod, {"status": {"conditions": [found]}})

    def _prepare_volumes(self) -> bool:
        for volume in self.pod["spec"].get("volumes", ()):
            folder = self._node.folder / "volumes" / self.name / volume["name"]
            if "persistentVolumeClaim" in volume:
                folder = self._node.claims[volume["persistentVolumeClaim"]["claimName"]]
            folder.mkdir(parents=True, exist_ok=True)
            self._folders[volume["name"]] = folder
            if "configMap" in volume and not self._fill(folder, volume["configMap"]["name"]):
                return False
        return True

    def _fill(self, folder: Path, name: str) -> bool:
        namespace = self.pod["metadata"]["namespace"]
        with self._objects.changed:
            found = self._objects.get("ConfigMap", namespace, name)
            if found is None:
                said = f'MountVolume.SetUp failed for volume "spec" : configmap "{name}" not found'
                self._objects.event(self.pod, "FailedMount", said, warning=True)
            while found is None and not self.deleted.is_set():
                self._objects.changed.wait(0.5)
                found = self._objects.get("ConfigMap", namespace, name)
        for key, text in (found or {}).get("data", {}).items():
            (folder / key).write_text(text)
        return found is not None

    def _pull(self) -> bool:
        for spec in self.pod["spec"]["containers"]:
            image, name = spec["image"], spec["name"]
            if image in self._node.pulled:
                said = f'Container image "{image}" already present on machine'
                self._objects.event(self.pod, "Pulled", said, container=name)
                continue
            self._objects.event(self.pod, "Pulling", f'Pulling image "{image}"', container=name)
            if name != SIDECAR and image not in self._node.images:
                said = f'Failed to pull image "{image}": {self._node.pull_error}'
                self._objects.event(self.pod, "Failed", said, warning=True, container=name)
                self.containers[name].state = {"waiting": {"reason": "ErrImagePull", "message": said}}
                self.show()
                self.deleted.wait()
                return False
            self._node.pulled.add(image)
            self._objects.event(self.pod, "Pulled", PULL.format(image=image), container=name)
        return True

    def _start(self, spec: Json, container: Container) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self._folders.get("scratch", self._node.folder)),
        }
        environment |= self._node.environment
        for item in spec.get("env") or ():
            field = item.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            value = self.name if field == "metadata.name" else item.get("value", "")
            environment[item["name"]] = self.rewritten(value, container.name, scratch=True)
        image = self._node.images[spec["image"]]
        arguments = [
            self.rewritten(_expanded(item, environment), container.name) for item in spec.get("args") or ()
        ]
        container.start([*(spec.get("command") or image), *arguments], environment, self._node.folder)
        self._objects.event(
            self.pod, "Started", f"Started container {container.name}", container=container.name
        )

    def _spec(self, name: str) -> Json:
        return next(item for item in self.pod["spec"]["containers"] if item["name"] == name)


class Node:
    """The one node.

    :param objects: what the API server keeps
    :param folder: where volumes are made
    :param images: the command that each image runs
    :param allocatable: what the node has
    :param claims: the folder behind each PersistentVolumeClaim
    """

    def __init__(
        self,
        objects: Objects,
        folder: Path,
        *,
        images: Mapping[str, Sequence[str]],
        allocatable: Mapping[str, str],
        claims: Mapping[str, Path],
    ) -> None:
        self.objects = objects
        self.folder = folder
        self.images = images
        self.allocatable = allocatable
        self.claims = claims
        self.environment: dict[str, str] = {}
        self.pulled: set[str] = set()
        self.pull_error = "rpc error: code = NotFound desc = failed to resolve reference: not found"
        self.admits = False
        self.runs: dict[str, PodRun] = {}

    def take(self, pod: Json) -> None:
        """Begin with a pod."""
        self.runs[pod["metadata"]["uid"]] = PodRun(self, pod)

    def delete(self, pod: Json, grace_s: float | None = None) -> None:
        """End a pod and remove it."""
        run = self.runs[pod["metadata"]["uid"]]

        def end() -> None:
            run.stop(grace_s)
            self.objects.remove(pod)

        threading.Thread(target=end, daemon=True).start()

    def preempt(self, run: PodRun) -> None:
        """Take a pod's place for another one."""
        said = "Preempted by pod 0c7d on node node"
        self.objects.event(run.pod, "Preempted", said)
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()}
        self.objects.patch(run.pod, {"status": {"conditions": [scheduled, condition | {"message": said}]}})
        self.delete(run.pod)

    def evict(self, run: PodRun, message: str) -> None:
        """End a pod for want of something on the node, and leave it to be seen."""
        run.stop(1)
        self.objects.patch(run.pod, {"status": {"phase": "Failed", "reason": "Evicted", "message": message}})
        self.objects.event(run.pod, "Evicted", message, warning=True)

    def lacking(self, pod: Json) -> str:
        """Return what keeps a pod off the node, empty where nothing does."""
        for container in pod["spec"]["containers"]:
            wanted = (container.get("resources") or {}).get("requests") or {}
            for name, amount in wanted.items():
                if "/" in name and int(amount) > int(self.allocatable.get(name, 0)):
                    return f"Insufficient {name}"
        wrong = (pod["spec"].get("nodeSelector") or {}).items() - {("kubernetes.io/os", "linux")}
        return "node(s) didn't match Pod's node affinity/selector" if wrong else ""

    def stop(self) -> None:
        """End all pods, at once."""
        for run in list(self.runs.values()):
            run.stop(0)


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """Expand ``$(VAR)`` as Kubernetes does: ``$$`` is a dollar, what is not known stays."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else environment.get(match[1], match[0])

    return _VARIABLE.sub(value, text)
