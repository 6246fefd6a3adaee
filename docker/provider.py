"""Install what the provider's wheel needs into an Airflow image without changing what the image has.

What the image has stays at its version, Airflow above all.  What it lacks comes in the version that this
project is tested with, unless the image's packages ask for another.

The wheel itself comes in a layer of its own, so that releases share this one.

Usage: ``python provider.py PYPROJECT EXTRAS CONSTRAINTS WHEELHOUSE``, within the build of the image
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any


def canonical(name: str) -> str:
    """Return the normalised form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def kept(installed: Mapping[str, str]) -> list[str]:
    """Return constraints that keep every installed version.

    :param installed: versions by normalised name
    """
    return [f"{name}=={version}" for name, version in sorted(installed.items())]


def added(constraints: Iterable[str], installed: Mapping[str, str]) -> list[str]:
    """Return those lines of a constraints file that are about packages the image lacks.

    :param constraints: lines as ``name==version ; marker``
    :param installed: versions by normalised name
    """
    lines = [line for line in constraints if "==" in line and not line.startswith("#")]
    return [line.strip() for line in lines if canonical(line.partition("==")[0].strip()) not in installed]


def needed(project: Mapping[str, Any], extras: Iterable[str]) -> list[str]:
    """Return what the package needs with these extras.

    :param project: the table ``[project]`` of ``pyproject.toml``
    :raises SystemExit: where an extra is not known
    """
    known = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in known]
    if unknown:
        raise SystemExit(f"EXTRAS names {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [*project["dependencies"], *(need for extra in extras for need in known[extra])]


def attempts(
    constraints: Iterable[str], installed: Mapping[str, str], wheels: list[str]
) -> list[tuple[list[str], list[str]]]:
    """Return what to try, best first, as options of pip and constraints.

    :param constraints: lines as ``name==version ; marker``
    :param installed: versions by normalised name
    :param wheels: folders of wheels, which spare a look at the package index where they suffice
    """
    offline = [["--no-index", *(f"--find-links={folder}" for folder in wheels)]] if wheels else []
    both = [*kept(installed), *added(constraints, installed)]
    return [(source, limits) for source in [*offline, []] for limits in (both, kept(installed))]


def fits(needs: list[str], source: list[str], constraints: list[str]) -> bool:
    """Install *needs* if pip finds versions that fit together, and tell whether it did."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(constraints))
        file.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", *source, "-c", file.name]
        return subprocess.run([*pip, *needs], check=False).returncode == 0


def main() -> None:
    """Install, and fail the build where nothing fits."""
    pyproject, extras, constraints, wheelhouse = sys.argv[1:]
    installed = {canonical(found.name): found.version for found in distributions()}
    project = tomllib.loads(Path(pyproject).read_text())["project"]
    needs = [*needed(project, extras.split(",")), f"apache-airflow=={installed['apache-airflow']}"]
    lines = Path(constraints).read_text().splitlines()
    wheels = sorted(str(path) for path in Path(wheelhouse).glob("*") if path.is_dir())
    if not any(fits(needs, source, limits) for source, limits in attempts(lines, installed, wheels)):
        raise SystemExit(f"What [{extras}] needs does not fit the image's packages; see pip above")


if __name__ == "__main__":
    main()
