"""The distribution as users get it, and environments with nothing else in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from components import requires, requires_success
from dag_test import ROOT

_HOW = "uv pip install --group test"


def run(*command: object, check: bool = True) -> str:
    """Run a command and return what it printed."""
    ended = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert not check or ended.returncode == 0, ended.stdout
    return ended.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name


@dataclass(frozen=True)
class Installer:
    """Makes environments with uv, from the registry that it is configured for."""

    uv: str
    folder: Path

    def environment(self, name: str) -> Environment:
        run(self.uv, "venv", "--quiet", "--python", sys.executable, self.folder / name)
        return Environment(self.folder / name)

    def install(self, environment: Environment, *arguments: object) -> Environment:
        run(self.uv, "pip", "install", "--quiet", "--python", environment.python, *arguments)
        return environment


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, as a release is."""
    requires("build", _HOW)
    requires("hatchling", _HOW)
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Installer:
    folder = tmp_path_factory.mktemp("environments")
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv") or "uv"
    (folder / "reachable.in").write_text("iniconfig\n")
    check: Sequence[str] = [uv, "pip", "compile", "--quiet", "--no-cache", str(folder / "reachable.in")]
    requires_success("package registry", check, "needs uv and a registry that it reaches")
    return Installer(uv, folder)


@pytest.fixture(scope="session")
def newest(installer: Installer, wheel: Path) -> Environment:
    """The wheel with the newest Airflow that the project pins."""
    constraints = ROOT / "constraints.txt"
    return installer.install(installer.environment("newest"), "-c", constraints, f"{wheel}[cpu]")


@pytest.fixture(scope="session")
def oldest(installer: Installer, wheel: Path) -> Environment:
    """The wheel with the oldest Airflow that it supports."""
    return installer.install(installer.environment("oldest"), f"{wheel}[cpu]", "apache-airflow==3.1.8")
