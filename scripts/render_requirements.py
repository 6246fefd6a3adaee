"""Render the pinned requirements of the images from ``pyproject.toml`` and ``constraints.txt``.

``docker/runtime-requirements.txt`` is what a pod needs without Airflow, ``runtime-gpu-requirements.txt`` the
same with CUDA, ``airflow-requirements.txt`` what the Airflow image may need beside the first, and
``build-requirements.txt`` what builds the wheel and the bill of materials.  Every pin has the hashes of its
files, so that an installation cannot get anything else.  Versions come from ``constraints.txt``; what it does
not name keeps its version until ``--upgrade``.

With ``--check`` nothing is written: the exit code is 1 where a file is not up to date.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "3.11"
"""The oldest Python that the pins are for."""

OBJECT_STORES = ("s3", "gcs")
RUNTIME_EXTRAS = ("redis", "text", *OBJECT_STORES)
AIRFLOW_EXTRAS = ("cpu", "redis", "s3", "text")
RUNTIME, AIRFLOW = "runtime-requirements", "airflow-requirements"
# PID 1 of a container: it passes signals on from the first moment and reaps what is orphaned.
INIT = "dumb-init>=1.2.5"
# ONNX Runtime's own wheels of CUDA and cuDNN: the pod's node brings the driver and nothing else.
CUDA = "onnxruntime-gpu[cuda,cudnn]"
# tokenizers asks for these to download from a hub, which no stage does: tokenizers lie in the model's folder.
LEFT_OUT = ("huggingface-hub",)
NEVER = "sys_platform == 'never'"
BUILD = ("cyclonedx-bom>=7", "hatchling>=1.27")


def requirement_name(requirement: str) -> str:
    """Return the normalised name of a requirement such as ``Foo_bar[x]>=1 ; python_version < '3.12'``."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    if found is None:
        raise ValueError(f"{requirement!r} is no requirement: it begins with no name")
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def runtime_roots(project: dict[str, Any], extras: Iterable[str]) -> list[str]:
    """Return what the package itself asks for, without Airflow and its providers.

    :param project: the table ``[project]`` of ``pyproject.toml``
    :param extras: the extras to add
    :returns: requirements, sorted
    """
    wanted = [
        *project["dependencies"],
        *(need for extra in extras for need in project["optional-dependencies"][extra]),
    ]
    return sorted({need for need in wanted if not requirement_name(need).startswith("apache-airflow")})


def roots(project: dict[str, Any]) -> dict[str, list[str]]:
    """Return the direct requirements of each rendered file, by the file's name without its ending."""
    return {
        RUNTIME: [*runtime_roots(project, ("cpu", *RUNTIME_EXTRAS)), INIT],
        "runtime-gpu-requirements": [*runtime_roots(project, ("gpu", *RUNTIME_EXTRAS)), CUDA, INIT],
        AIRFLOW: runtime_roots(project, AIRFLOW_EXTRAS),
        "build-requirements": list(BUILD),
    }


def pins(text: str) -> dict[str, set[str]]:
    """Return the versions that a requirements file pins, by name: several where markers tell them apart."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        matched = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line)
        if matched:
            found.setdefault(requirement_name(matched[1]), set()).add(matched[2])
    return found


def render(name: str, wanted: list[str], current: str, *, upgrade: bool) -> str:
    """Resolve *wanted* and return the file's text.

    :param name: the file's name without its ending
    :param wanted: its direct requirements
    :param current: the file as it is, whose versions are kept where they fit
    :param upgrade: take the newest version of whatever ``constraints.txt`` does not name
    """
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / f"{name}.txt"
        pinned.write_text(current)
        overrides = Path(folder) / "left-out.txt"
        left_out = LEFT_OUT if name.startswith("runtime") else ()
        overrides.write_text("".join(f"{one} ; {NEVER}\n" for one in left_out))
        command = [
            *(Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet", "--universal"),
            *("--python-version", PYTHON, "--generate-hashes", "--no-header", "--no-annotate"),
            *("--no-emit-index-url", "-c", ROOT / "constraints.txt", "-o", pinned),
            *("--overrides", overrides),
            *(("--upgrade",) if upgrade else ()),
            "-",
        ]
        subprocess.run(command, input="\n".join(wanted), text=True, check=True, stdout=subprocess.DEVNULL)
        body = [entry for entry in whole_entries(pinned.read_text()) if NEVER not in entry]
    if name == AIRFLOW:
        beside = set(whole_entries((ROOT / "docker" / f"{RUNTIME}.txt").read_text()))
        body = [entry for entry in body if entry not in beside]
    head = [
        "# Made from pyproject.toml and constraints.txt by: python scripts/render_requirements.py",
        f"# Asked for: {', '.join(wanted)}",
    ]
    return "\n".join([*head, *body]) + "\n"


def whole_entries(text: str) -> list[str]:
    """Split a requirements file into its entries, each with the lines of its hashes."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return re.split(r"(?<!\\)\n", "\n".join(lines))


def main() -> int:
    """Render, or check, every file; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which files are out of date")
    parser.add_argument("--upgrade", action="store_true", help="renew what constraints.txt does not name")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stale = 0
    for name, wanted in roots(project).items():
        path = ROOT / "docker" / f"{name}.txt"
        current = path.read_text() if path.exists() else ""
        text = render(name, wanted, current, upgrade=options.upgrade)
        if text != current:
            stale += 1
            if not options.check:
                path.write_text(text)
            print(f"{'out of date' if options.check else 'rendered'}: {path.relative_to(ROOT)}")
    return int(options.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
