"""Programs that tests need and Debian lacks, built by Go from their modules and kept in ``.cache/tools``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from components import CACHE, alone, requires_program, skip_absent

TOOLS = CACHE / "tools"
HOW = "needs Go and a module proxy that it reaches"
_TOOLCHAIN = "golang.org/toolchain"
_PLATFORM = "linux-amd64"
_EXECUTABLE = 0o755


@cache
def go_toolchain(minimum: str) -> str:
    """Return the path of a ``go`` that is at least *minimum*, or skip.

    The machine's own one is taken where it is new enough.  Debian 12 has 1.19, which cannot fetch a newer one
    by itself, but its ``go mod download`` gets and verifies the module that newer ones would fetch.

    :param minimum: a released version with all three numbers, such as ``1.26.0``; this one is fetched
    """
    own = requires_program("go", "apt-get install golang-go")
    said = subprocess.run([own, "version"], capture_output=True, text=True, check=True, env=go_environment())
    if version_of(said.stdout) >= version_of(f"go{minimum}"):
        return own
    root = TOOLS / f"go{minimum}"
    with alone(f"go{minimum}"):
        if not root.exists():
            found = download(f"{_TOOLCHAIN}@v0.0.1-go{minimum}.{_PLATFORM}", own)
            unpack_toolchain(Path(found["Zip"]), root)
    return str(root / "bin" / "go")


def go_program(package: str, version: str, *, minimum: str, flags: Sequence[str] = ()) -> Path:
    """Return the path of a program that Go builds from its module, or skip.

    :param package: its import path
    :param version: of the module it lies in; Go verifies it and its dependencies by its checksum database
    :param minimum: the Go that it needs, see :func:`go_toolchain`
    :param flags: for ``go install``
    """
    name = package.rsplit("/", 1)[-1]
    folder = TOOLS / f"{name}-{version}"
    program = folder / name
    go = go_toolchain(minimum)
    with alone(folder.name):
        if program.exists():
            return program
        command = ["nice", go, "install", "-trimpath", *flags, f"{package}@{version}"]
        with TemporaryDirectory() as elsewhere:  # a go.mod around would decide on versions
            environment = go_environment({"CGO_ENABLED": "0", "GOBIN": str(folder)})
            done = subprocess.run(
                command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
            )
    if done.returncode:
        skip_absent(name, f"{HOW}; {last_line(done.stderr)}")
    return program


@cache
def go_module(module: str, version: str) -> Path:
    """Return the folder that has a module's files, or skip.

    :param module: its path
    :param version: its version
    """
    go = requires_program("go", "apt-get install golang-go")
    return Path(download(f"{module}@{version}", go)["Dir"])


def download(module: str, go: str) -> dict[str, Any]:
    """Return where a module's files are once Go has fetched and verified them, or skip.

    :param module: with its version
    :param go: the program to ask
    :returns: what ``go mod download -json`` says; ``Dir`` and ``Zip`` are paths
    """
    with TemporaryDirectory() as elsewhere:
        command = [go, "mod", "download", "-json", module]
        done = subprocess.run(
            command, cwd=elsewhere, env=go_environment(), capture_output=True, text=True, check=False
        )
    if done.returncode:
        skip_absent(module, f"{HOW}; {last_line(done.stderr or done.stdout)}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def unpack_toolchain(archive: Path, root: Path) -> None:
    """Make a Go installation of the module zip that it is published as.

    A module may hold neither files that can be executed nor further ``go.mod`` files, so the zip has these
    under another name.

    :param archive: the zip
    :param root: the folder to make
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root.parent) as folder, zipfile.ZipFile(archive) as files:
        files.extractall(folder)
        (top,) = Path(folder).glob("golang.org/toolchain@*")
        for path in top.rglob("_go.mod"):
            path.rename(path.with_name("go.mod"))
        for path in [*top.glob("bin/*"), *top.glob("pkg/tool/**/*")]:
            if path.is_file():
                path.chmod(_EXECUTABLE)
        top.rename(root)  # only a whole one gets the name


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers of a Go version, ``(1, 26, 0)`` of ``go version go1.26 linux/amd64``."""
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        raise ValueError(f"no version of Go is named in {text!r}")
    return tuple(int(number or 0) for number in found.groups())


def go_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for Go: each version is to be itself, and settings of a build are not inherited.

    :param more: further variables
    """
    kept = {name: value for name, value in os.environ.items() if name not in {"GOROOT", "GOFLAGS", "GOWORK"}}
    return {**kept, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", **(more or {})}


def last_line(text: str) -> str:
    """Return the last line of what a program said, which names the error."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]
