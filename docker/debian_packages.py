"""Which Debian packages the files of the runtime image come from.

Runs within the build of the image, with the base image's Python and nothing else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

STATUS = Path("var/lib/dpkg/status.d")
"""Where an image without dpkg keeps what dpkg knew: a file for each package, known to image scanners."""

LICENCES = Path("/usr/share/common-licenses")


def names_of(path: Path) -> list[str]:
    """Return the names by which dpkg may know a path: ``/lib`` has become a link to ``/usr/lib``."""
    text = str(path)
    return [text, text.removeprefix("/usr")] if text.startswith("/usr/") else [text]


def parse_owners(printed: str) -> set[str]:
    """Read what ``dpkg-query --search`` printed and return the packages' names, with architecture.

    Its lines are ``name[:architecture][, another]: path``; a line about a diversion names no owner.
    """
    lines = [line for line in printed.splitlines() if not line.startswith("diversion by")]
    return {name.strip() for line in lines for name in line.rpartition(": ")[0].split(",") if name.strip()}


def owners(paths: Iterable[Path]) -> list[str]:
    """Return the packages that own any of *paths*; what no package owns is left out."""
    names = sorted({name for path in paths for name in names_of(path)})
    ended = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True, check=False)
    return sorted(parse_owners(ended.stdout))


def register(paths: Iterable[Path], root: Path) -> None:
    """Note below *root* which packages its files come from, with their copyrights.

    :param paths: the files, as they are called in this system
    """
    folder = root / STATUS
    folder.mkdir(parents=True)
    for package in owners(paths):
        name = package.partition(":")[0]
        command = ["dpkg-query", "--status", package]
        status = subprocess.run(command, capture_output=True, text=True, check=True)
        (folder / name).write_text(status.stdout)
        copyright_file = Path("/usr/share/doc", name, "copyright")
        if copyright_file.exists():
            copy = root / copyright_file.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(copyright_file, copy)
    if LICENCES.is_dir():
        shutil.copytree(LICENCES, root / LICENCES.relative_to("/"), symlinks=True)


def parse_status(text: str) -> dict[str, str]:
    """Return the one-line fields of a status file."""
    return dict(re.findall(r"^([A-Za-z-]+): (.+)$", text, re.MULTILINE))
