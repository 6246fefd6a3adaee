"""Build the images: ``aiopt-runtime`` without Airflow, for pods, and ``aiopt-airflow`` with this provider.

Wheels are downloaded here first, each with one of the hashes that its requirements file names, into
``docker/wheelhouse``.  The build itself fetches nothing but the base image, so it needs neither this
machine's settings for the package index nor its certificates.  Without the wheelhouse the same Dockerfiles
install the same pins from the index.

Usage: ``python scripts/build_images.py runtime [--variant gpu]``, ``python scripts/build_images.py airflow``
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement

from airflow_provider_aiopt import __version__

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
WHEELHOUSE = DOCKER / "wheelhouse"
PYTHON = "3.11"
"""The base images' Python."""

GLIBC = range(5, 37)
"""Minor versions of glibc 2 whose wheels run on the base images: Debian 12 has 2.36."""

REQUIREMENTS = {
    "cpu": ("build-requirements", "runtime-requirements"),
    "gpu": ("build-requirements", "runtime-gpu-requirements"),
    "airflow": ("build-requirements", "runtime-requirements", "airflow-requirements"),
}
"""Which wheels are needed, by variant of the runtime image and for the other image."""

VARIANTS = ("cpu", "gpu")


def entries(text: str) -> list[tuple[Requirement, str]]:
    """Split a requirements file into its requirements, each with its hashes' options.

    :param text: ``name==version [; marker]``, each with its ``--hash=...`` on continued lines
    """
    lines = text.replace("\\\n", " ").splitlines()
    found = []
    for line in (line for line in lines if line.strip() and not line.startswith("#")):
        need, *hashes = line.split("--hash=")
        found.append((Requirement(need.strip()), " ".join(f"--hash={digest.strip()}" for digest in hashes)))
    return found


def selected(text: str, python: str, machine: str) -> str:
    """Return the requirements for Linux and one minor version of Python, without markers.

    Markers may ask for the patch level as well, and pip would judge them by the Python it runs on: what holds
    for the first or the last patch level of the image's Python is taken.

    :param python: minor version, as ``3.11``
    :param machine: as ``platform.machine()`` has it
    """
    environments = [
        {
            "python_version": python,
            "python_full_version": f"{python}.{patch}",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": machine,
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }
        for patch in (0, 99)
    ]
    return "".join(
        f"{need.name}{need.specifier} {hashes}\n"
        for need, hashes in entries(text)
        if need.marker is None or any(need.marker.evaluate(environment) for environment in environments)
    )


def platforms(machine: str) -> list[str]:
    """Return the names of the platforms whose wheels the base images take."""
    aliases = [f"manylinux{alias}_{machine}" for alias in ("1", "2010", "2014")]
    return [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + aliases


def fill_wheelhouse(name: str, machine: str) -> None:
    """Download the wheels of a requirements file, unless they are there.

    :param name: the file's name without its ending
    :param machine: as ``platform.machine()`` has it
    """
    wanted = selected((DOCKER / f"{name}.txt").read_text(), PYTHON, machine)
    digest = hashlib.sha256(f"{machine}\n{wanted}".encode()).hexdigest()
    folder, stamp = WHEELHOUSE / name, WHEELHOUSE / f"{name}.sha256"
    if stamp.exists() and folder.is_dir() and stamp.read_text() == digest:
        return
    print(f"Downloading the wheels of {name}.txt", file=sys.stderr)
    WHEELHOUSE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WHEELHOUSE) as made:
        requirements = Path(made, "requirements.txt")
        requirements.write_text(wanted)
        wheels = Path(made, "wheels")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", PYTHON),
            *(option for name in platforms(machine) for option in ("--platform", name)),
            *("--dest", str(wheels), "--requirement", str(requirements)),
        ]
        subprocess.run(command, check=True)
        shutil.rmtree(folder, ignore_errors=True)
        wheels.rename(folder)
    stamp.write_text(digest)


def find_engine(wanted: str | None) -> str:
    """Return the program that builds: Docker, or Podman where there is no Docker."""
    for name in [wanted] if wanted else ["docker", "podman"]:
        if shutil.which(name):
            return name
    raise SystemExit(
        f"{wanted or 'Neither docker nor podman'} is {'not ' if wanted else ''}installed here. "
        "On Debian: apt-get install podman, or name another with --engine"
    )


def revision() -> str:
    """Return the commit that is checked out, ``unknown`` where there is none."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"


def build(engine: str, image: str, arguments: dict[str, str], tag: str, options: Sequence[str]) -> None:
    """Build one image.

    :param image: ``runtime`` or ``airflow``
    :param arguments: build arguments
    :param tag: the image's name
    :param options: further options of the engine's ``build``
    """
    formats = ["--format", "docker"] if engine.endswith("podman") else []
    settings = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    command = [engine, "build", *formats, *options, *settings, "--tag", tag]
    subprocess.run([*command, "--file", DOCKER / f"{image}.Dockerfile", ROOT], check=True)


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("image", choices=("runtime", "airflow"))
    parser.add_argument("--variant", choices=VARIANTS, default="cpu", help="of the runtime image")
    parser.add_argument("--base", help="base image (default: the Dockerfile's)")
    parser.add_argument("--tag", help="the image's name (default: aiopt-runtime:VERSION[-gpu])")
    parser.add_argument("--engine", help="docker or podman (default: the first that is there)")
    parser.add_argument("--option", action="append", default=[], help="further option of the engine's build")
    chosen = parser.parse_args()
    if chosen.image == "airflow" and chosen.variant != "cpu":
        parser.error("the Airflow image has no variants: --option=--build-arg=EXTRAS=gpu,redis,s3,text")
    engine = find_engine(chosen.engine)
    for name in REQUIREMENTS["airflow" if chosen.image == "airflow" else chosen.variant]:
        fill_wheelhouse(name, platform.machine())
    arguments = {"VERSION": __version__, "REVISION": revision()}
    if chosen.image == "runtime":
        arguments["VARIANT"] = chosen.variant
    if chosen.base:
        arguments["BASE_IMAGE" if chosen.image == "runtime" else "AIRFLOW_IMAGE"] = chosen.base
    suffix = "-gpu" if arguments.get("VARIANT") == "gpu" else ""
    tag = chosen.tag or f"aiopt-{chosen.image}:{__version__}{suffix}"
    build(engine, chosen.image, arguments, tag, chosen.option)
    print(tag)


if __name__ == "__main__":
    main()
