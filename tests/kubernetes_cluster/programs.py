"""Kubernetes' own programs, built by Go from its module."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from components import alone, skip_absent
from go_tools import HOW, TOOLS, go_environment, go_module, go_toolchain, last_line

VERSION = "1.35.4"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
_MODULE = "k8s.io/kubernetes"
_GO = "1.25.0"
_STAGING = re.compile(r"^\s*(?:replace\s+)?(\S+) => \./staging/", re.MULTILINE)
_VARIABLES = "k8s.io/component-base/version"


def kubernetes_programs() -> Path:
    """Return the folder with the programs, or skip.

    They are built once for all, in about 8 minutes of CPU time.  Kubernetes' module is not made to be built
    from elsewhere: it takes parts of itself from its folder ``staging``, which Go heeds in the main module
    alone.  These parts are published as modules of the same version, which the main module made here names.
    """
    folder = TOOLS / f"kubernetes-{VERSION}"
    go = go_toolchain(_GO)
    with alone(folder.name):
        if not folder.exists():
            _build(go, folder)
    return folder


def _build(go: str, folder: Path) -> None:
    source = go_module(_MODULE, f"v{VERSION}")
    packages = [f"{_MODULE}/cmd/{name}" for name in PROGRAMS]
    TOOLS.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=TOOLS) as module:
        Path(module, "go.mod").write_text(main_module((source / "go.mod").read_text()))
        flags = ["-trimpath", "-ldflags", _linker_flags(), "-o", "programs/"]
        done = subprocess.run(
            ["nice", go, "build", *flags, *packages],
            cwd=module,
            env=go_environment({"CGO_ENABLED": "0"}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            skip_absent("Kubernetes", f"{HOW}; {last_line(done.stderr)}")
        Path(module, "programs").rename(folder)  # only all of them get the name


def main_module(of_kubernetes: str) -> str:
    """Return a ``go.mod`` by which Kubernetes can be built from its published modules.

    :param of_kubernetes: its own ``go.mod``
    """
    version = "v0." + VERSION.partition(".")[2]
    lines = ["module aiopt.test/kubernetes", f"go {_GO}", f"require {_MODULE} v{VERSION}"]
    lines += [f"replace {part} => {part} {version}" for part in _STAGING.findall(of_kubernetes)]
    return "\n\n".join(lines) + "\n"


def _linker_flags() -> str:
    major, minor, _ = VERSION.split(".")
    values = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s", "-w", *(f"-X {_VARIABLES}.{name}={value}" for name, value in values.items())])
