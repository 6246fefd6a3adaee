"""The project's images, built with Podman on bases that are made from Debian's packages.

No official image can be pulled where the tests run.  ``debootstrap`` makes a root file system with Debian's
Python, which stands in for ``python:3.11-slim-bookworm``; with Airflow from its wheels it stands in for
``apache/airflow``.  An image is built once for what it is made of: its tag is the hash of that.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components import requires_program, skip_absent

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "images"
AIRFLOW_BASE = ROOT / "tests" / "containers" / "airflow_base.Dockerfile"
NAMES = "localhost/aiopt-test"
DEBIAN = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
KEPT = 3
"""Images of a kind that stay, for checkouts beside each other."""

# Where the limits of the machine are lower than Podman's defaults, a container cannot be started with these.
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")


def podman(*arguments: object, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run Podman, with runc, and return what it printed."""
    command = ["podman", "--runtime", "runc", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    assert not check or ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended


def require_podman() -> None:
    """Skip unless images can be built and run here."""
    how = "apt-get install podman runc conmon debootstrap"
    for program in ("podman", "runc", "debootstrap"):
        requires_program(program, how)
    if os.geteuid() != 0:
        skip_absent("root", "debootstrap makes the base images, as root")


def digest(*parts: object) -> str:
    """Hash files, folders and texts; what is compiled or downloaded beside them does not count."""
    total = hashlib.sha256()
    for part in parts:
        if not isinstance(part, Path):
            total.update(str(part).encode())
            continue
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if path.is_file() and not {"__pycache__", "wheelhouse"} & set(path.parts):
                total.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return total.hexdigest()[:12]


@contextmanager
def building() -> Iterator[None]:
    """Let one process build at a time: workers of pytest-xdist want the same image."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def exists(image: str) -> bool:
    """Whether Podman has the image."""
    return podman("image", "exists", image, check=False).returncode == 0


def prune(kind: str) -> None:
    """Remove all images of a kind but the newest few."""
    listed = podman("images", "--format={{.Repository}}:{{.Tag}}", "--sort=created", f"{NAMES}/{kind}")
    for image in listed.stdout.split()[KEPT:]:
        podman("rmi", image, check=False)  # one that is in use stays


def python_image() -> str:
    """Debian with its Python, for ``python:3.11-slim-bookworm``."""
    key = digest(DEBIAN, *PACKAGES)
    image = f"{NAMES}/python:{key}"
    if exists(image):
        return image
    archive = CACHE / f"python-{key}.tar"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder, "root")
            include = f"--include={','.join(PACKAGES)}"
            command = ["debootstrap", "--variant=minbase", include, DEBIAN, str(made)]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            shutil.rmtree(made / "var/cache/apt")
            shutil.rmtree(made / "var/lib/apt/lists")
            new = Path(folder, "new.tar")
            subprocess.run(["tar", "--directory", made, "--create", "--file", new, "."], check=True)
            new.rename(archive)
    podman("import", archive, image)
    return image


def airflow_base_image() -> str:
    """Debian with Airflow in ``/home/airflow/.local``, for ``apache/airflow``."""
    base = python_image()
    constraints = ROOT / "constraints.txt"
    image = f"{NAMES}/airflow-base:{digest(base, AIRFLOW_BASE, constraints)}"
    if exists(image):
        return image
    uv = Path(sys.executable).with_name("uv")
    wheels = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    podman(
        *("build", *LIMITS, "--runtime=runc", "--network=host", f"--build-arg=BASE_IMAGE={base}"),
        *("--volume", f"{wheels}:/uv-cache", "--volume", f"{uv.resolve()}:/uv:ro"),
        *("--volume", "/etc/ssl/certs:/etc/ssl/certs:ro", "--file", AIRFLOW_BASE, "--tag", image),
        ROOT,
    )
    prune("airflow-base")
    return image


def build(kind: str, base: str, *inputs: Path | str) -> str:
    """Build an image with the project's own script, unless there is one of the same inputs."""
    common = [ROOT / name for name in ("airflow_provider_aiopt", "docker", "pyproject.toml", ".dockerignore")]
    image = f"{NAMES}/{kind}:{digest(base, *common, *inputs)}"
    if exists(image):
        return image
    command = [sys.executable, ROOT / "scripts/build_images.py", kind, "--engine=podman", "--base", base]
    options = [f"--option={option}" for option in (*LIMITS, "--runtime=runc", "--network=none")]
    ended = subprocess.run(
        [*command, "--tag", image, *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    prune(kind)
    return image


def runtime_image() -> str:
    """The runtime image for the CPU, built of this checkout without a network."""
    require_podman()
    with building():
        return build("runtime", python_image())


def airflow_image() -> str:
    """The Airflow image, built of this checkout without a network."""
    require_podman()
    with building():
        return build("airflow", airflow_base_image(), ROOT / "constraints.txt")


def run_options(
    *, volumes: Iterable[str] = (), name: str | None = None, user: str | None = None
) -> list[str]:
    """The options of ``podman run`` as strict as a pod's security context may be.

    :param volumes: ``source:target[:options]``
    """
    return [
        *("run", "--rm", "--pull=never", "--network=none", *LIMITS, "--read-only", "--read-only-tmpfs=false"),
        *("--tmpfs=/tmp:rw,size=64m,mode=1777", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        *(f"--volume={volume}" for volume in volumes),
        *([f"--name={name}"] if name else []),
        *([f"--user={user}"] if user else []),
    ]


def inspect(image: str) -> dict[str, Any]:
    """What Podman knows of an image."""
    (found,) = json.loads(podman("image", "inspect", image).stdout)
    return dict(found)


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The image's root file system, to be read."""
    folder = podman("image", "mount", image).stdout.strip()
    try:
        yield Path(folder)
    finally:
        podman("image", "unmount", image)
