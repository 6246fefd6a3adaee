"""Helm and the chart for tests: rendered with a stand-in for the official chart, and compared as objects.

``python tests/helm_chart.py`` records what upgrades from this version rely on, when it is released.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from go_tools import go_module, go_program

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "helm" / "airflow-provider-aiopt"
OFFICIAL = ROOT / "tests" / "helm" / "official_chart"
RELEASED = ROOT / "tests" / "helm" / "released"
HELM_VERSION = "v3.22.0"
RELEASE, NAMESPACE = "prod", "ai"
CLUSTER = (f"--namespace={NAMESPACE}", "--kube-version=1.30.0")
"""What Helm would ask a cluster; the oldest that the official chart takes."""
ALL_ON = (
    "monitoring.serviceMonitor.enabled=true",
    "monitoring.prometheusRule.enabled=true",
    "monitoring.dashboard.enabled=true",
)
CASES: dict[str, tuple[str, ...]] = {
    "default": (),
    "cpu": ("values-cpu.yaml",),
    "gpu": ("values-cpu.yaml", "values-gpu.yaml"),
    "multi-team": ("values-cpu.yaml", "values-multi-team.yaml"),
}
"""Overlays of the chart by the name of what they are for."""

OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")
CUSTOM = {"PrometheusRule": "prometheusrules", "ServiceMonitor": "servicemonitors"}

Object = dict[str, Any]


def helm_program() -> Path:
    """Return Helm, built by Go, or skip."""
    flags = ["-ldflags", f"-s -w -X helm.sh/helm/v3/internal/version.version={HELM_VERSION}"]
    return go_program("helm.sh/helm/v3/cmd/helm", HELM_VERSION, minimum="1.26.0", flags=flags)


@dataclass
class Chart:
    """A copy of the chart that Helm can render.

    :param helm: the program
    :param folder: the chart with its dependency
    """

    helm: Path
    folder: Path
    _rendered: dict[tuple[Any, ...], list[Object]] = field(default_factory=dict)

    @classmethod
    def copy(cls, helm: Path, folder: Path) -> Chart:
        """Copy the chart, and put the stand-in where the official one would be."""
        shutil.copytree(SOURCE, folder)
        shutil.copytree(OFFICIAL, folder / "charts" / "airflow")
        return cls(helm, folder)

    def run(
        self, command: str, overlays: Sequence[str | Path] = (), sets: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Helm on the chart.

        :param command: ``lint`` or ``template``
        :param overlays: the chart's own by their names, or paths
        :param sets: ``key=value``; values as in JSON
        """
        arguments = [f"--values={self.folder / overlay}" for overlay in overlays]
        for item in sets:
            arguments += ["--set-json" if "=[" in item or "={" in item else "--set", item]
        named = [RELEASE] if command == "template" else []
        home = self.folder.parent / "home"
        isolated = {f"HELM_{kind}_HOME": str(home / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [self.helm, command, *named, str(self.folder), *CLUSTER, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(home), **isolated},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def render(self, overlays: Sequence[str | Path] = (), *sets: str) -> list[Object]:
        """Return all objects that the chart renders to, the stand-in's included."""
        key = (tuple(overlays), sets)
        if key not in self._rendered:
            done = self.run("template", overlays, sets)
            assert done.returncode == 0, done.stderr
            self._rendered[key] = [item for item in yaml.safe_load_all(done.stdout) if item]
        return self._rendered[key]

    def own(self, overlays: Sequence[str | Path] = (), *sets: str) -> list[Object]:
        """Return this chart's own objects."""
        return [item for item in self.render(overlays, *sets) if item["metadata"]["name"] != "given"]

    def given(self, overlays: Sequence[str | Path] = (), *sets: str) -> Object:
        """Return the values that the official chart was given."""
        (found,) = [item for item in self.render(overlays, *sets) if item["metadata"]["name"] == "given"]
        values: Object = yaml.safe_load(found["data"]["values"])
        return values

    def error(self, overlays: Sequence[str | Path] = (), *sets: str) -> str:
        """Return what Helm says of values that it must refuse."""
        done = self.run("template", overlays, sets)
        assert done.returncode != 0, "Helm took the values"
        return done.stderr


def definitions() -> dict[str, Object]:
    """Return the definitions of the Prometheus operator's kinds that the chart has, or skip."""
    folder = go_module(*OPERATOR) / "example" / "prometheus-operator-crd"
    files = {kind: folder / f"monitoring.coreos.com_{plural}.yaml" for kind, plural in CUSTOM.items()}
    return {kind: yaml.safe_load(path.read_text()) for kind, path in files.items()}


def of_kind(objects: Sequence[Object], kind: str, namespace: str = NAMESPACE) -> list[Object]:
    """Return the objects of a kind in a namespace."""
    return [
        item for item in objects if item["kind"] == kind and item["metadata"].get("namespace") == namespace
    ]


def only(objects: Sequence[Object], kind: str, name: str, namespace: str = NAMESPACE) -> Object:
    """Return the one object of a kind and a name."""
    (found,) = [item for item in of_kind(objects, kind, namespace) if item["metadata"]["name"] == name]
    return found


def pod_templates(objects: Sequence[Object]) -> dict[str, Object]:
    """Return the pods in the ConfigMap of pod templates by their file names."""
    data = only(objects, "ConfigMap", "aiopt-pod-templates")["data"]
    return {name: yaml.safe_load(text) for name, text in data.items() if name.endswith(".yaml")}


def fixed(item: Object) -> Object:
    """Return what of an object an upgrade must not change: its name, and what nobody can change."""
    metadata = item["metadata"]
    found: Object = {"kind": item["kind"], "name": metadata["name"], "namespace": metadata["namespace"]}
    if item["kind"] == "RoleBinding":
        found["roleRef"] = item["roleRef"]
    if item["kind"] == "Job":
        # Kubernetes refuses changes of a job's pods, so it has to be made anew by a hook, or by a new name.
        policy = metadata.get("annotations", {}).get("helm.sh/hook-delete-policy", "")
        found["replaced"] = "before-hook-creation" in policy
    return found


def contract(chart: Chart) -> dict[str, list[Object]]:
    """Return what an upgrade must not change, for each set of overlays."""
    return {
        case: sorted((fixed(item) for item in chart.own(overlays, *ALL_ON)), key=str)
        for case, overlays in CASES.items()
    }


def record() -> None:
    """Write the names of this version's objects, what of them cannot be changed, and its values."""
    version = yaml.safe_load((SOURCE / "Chart.yaml").read_text())["version"]
    values = yaml.safe_load((SOURCE / "values.yaml").read_text())
    values["airflow"]["statsd"].pop("extraMappings")  # long, and nobody sets them
    with tempfile.TemporaryDirectory() as folder:
        objects = contract(Chart.copy(helm_program(), Path(folder) / "airflow-provider-aiopt"))
    text = yaml.safe_dump({"objects": objects, "values": values}, width=110)
    target = RELEASED / f"{version}.yaml"
    target.write_text(f"# Recorded by tests/helm_chart.py when {version} was released: do not edit.\n{text}")
    sys.stdout.write(f"written: {target.relative_to(ROOT)}\n")


if __name__ == "__main__":
    record()
