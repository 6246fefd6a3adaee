"""Collect the root file system of the runtime image: an interpreter, an environment and what these link to.

Nothing is removed from a base image; what is needed is copied out of it.  So there is no shell, no package
manager and no pip that could be forgotten.  What each Debian package contributed stays on record in
``/var/lib/dpkg/status.d``, where image scanners look for it, beside its copyright.

Runs within the build of the image, with the base image's Python and nothing else.

Usage: ``python3 image_root.py dependencies VENV ROOT`` and ``python3 image_root.py application VENV ROOT``
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from importlib.metadata import distribution
from pathlib import Path

import debian_packages
from trimming import PROGRAMS, STDLIB, is_trimmed, kept_records

DISTRIBUTION = "airflow-provider-aiopt"
USER = 50000
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
ZONES = Path("/usr/share/zoneinfo")
ETC = {
    "passwd": f"root:x:0:0:root:/:/nologin\naiopt:x:{USER}:0:aiopt:/opt/aiopt:/nologin\n",
    "group": "root:x:0:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# The node's driver brings these, or they are NVIDIA's own wheels, which ONNX Runtime finds by itself.
FROM_ELSEWHERE = ("libcu*", "libnv*", "libnccl*")


class MissingLibraryError(SystemExit):
    """A program or library of the image links to what is not there, which ends the build with one message."""


def without_links(path: Path) -> Path:
    """Return where *path* really lies; whether it is itself a link stays open."""
    return path.parent.resolve() / path.name


def copy_with_links(path: Path, root: Path) -> Iterator[Path]:
    """Copy a file, and each link on the way to it, to the same place below *root*.

    :returns: the copied file's path in this system
    """
    place = without_links(path)
    copy = root / place.relative_to("/")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        if not copy.is_symlink():
            copy.symlink_to(place.readlink())
        yield from copy_with_links(place.parent / place.readlink(), root)
    else:
        if not copy.exists():
            shutil.copy2(place, copy)
        yield place


def copy_interpreter(venv: Path, root: Path) -> Iterator[Path]:
    """Copy the interpreter that the environment links to, and the standard library."""
    yield from copy_with_links((venv / "bin" / "python3").readlink(), root)
    for scheme in ("stdlib", "platstdlib"):
        source = Path(sysconfig.get_path(scheme)).resolve()
        copy = root / source.relative_to("/")
        if source.is_dir() and not copy.exists():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*STDLIB), symlinks=True)
            for path in copy.rglob("*"):
                if path.is_file():
                    path.chmod(0o644)  # modules that may be run as scripts, by a shell that is not there
                    yield source / path.relative_to(copy)


def copy_environment(venv: Path, root: Path) -> None:
    """Copy the virtual environment without what :mod:`trimming` leaves out."""
    copy = root / venv.relative_to("/")
    shutil.copytree(venv, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for program in (copy / "bin").iterdir():
        if not any(fnmatchcase(program.name, kept) for kept in PROGRAMS):
            program.unlink()
    for packages in copy.glob("lib/python*/site-packages"):
        trim(packages)


def trim(packages: Path) -> None:
    """Remove what the image leaves out from a site-packages folder, and from its records."""
    files = [path for path in packages.rglob("*") if path.is_file() or path.is_symlink()]
    trimmed = {name for path in files if is_trimmed(name := path.relative_to(packages).as_posix())}
    for name in trimmed:
        (packages / name).unlink()
    for path in files:
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)  # some wheels call their licence a program
    for record in packages.glob("*.dist-info/RECORD"):
        record.write_text(kept_records(record.read_text(), trimmed))
    for folder in sorted((path for path in packages.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    for folder in packages.iterdir():
        if folder.is_dir():
            link_copies(folder)


def link_copies(folder: Path) -> None:
    """Make links of shared libraries that lie there several times, since a wheel can hold no links."""
    known: dict[bytes, Path] = {}
    for path in sorted(folder.glob("lib*.so*"), key=lambda path: -len(path.name)):
        with path.open("rb") as stream:
            first = known.setdefault(hashlib.file_digest(stream, "sha256").digest(), path)
        if first is not path:
            path.unlink()
            path.symlink_to(first.name)


def is_elf(path: Path) -> bool:
    """Tell whether a file is a program or a shared library."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def linked_libraries(ldd: str, root: Path) -> set[Path]:
    """Read what ``ldd`` printed.

    :param ldd: its output
    :param root: libraries below it are there already
    :returns: paths in this system
    :raises MissingLibraryError: if one is found nowhere
    """
    missing = set(re.findall(r"^\s+(\S+) => not found", ldd, re.MULTILINE))
    missing = {name for name in missing if not any(fnmatchcase(name, known) for known in FROM_ELSEWHERE)}
    if missing:
        raise MissingLibraryError(
            f"The image would lack {', '.join(sorted(missing))}, which a program or library in it links to. "
            "Install the Debian package that has it in the build stage, or leave out what needs it (trimming)"
        )
    found = re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", ldd, re.MULTILINE)
    return {path for path in map(Path, found) if not path.is_relative_to(root)}


def copy_libraries(root: Path) -> Iterator[Path]:
    """Copy all that the programs and libraries below *root* link to."""
    for name in ("lib", "lib64"):
        link = Path("/", name)
        if link.is_symlink():
            (root / name).symlink_to(link.readlink())
    programs = [path for path in root.rglob("*") if is_elf(path)]
    ended = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    for library in sorted(linked_libraries(ended.stdout, root)):
        yield from copy_with_links(library, root)


def copy_system_files(root: Path) -> Iterator[Path]:
    """Copy certificates and time zones, and write the few files of ``/etc`` that are read."""
    if not CERTIFICATES.exists():
        raise SystemExit(f"{CERTIFICATES} is missing: the base image needs Debian's ca-certificates")
    yield from copy_with_links(CERTIFICATES, root)
    yield Path("/usr/sbin/update-ca-certificates")  # what made the file, which no package has a name for
    for path in (Path("/etc/os-release"), Path("/etc/debian_version"), Path("/etc/ld.so.cache")):
        if path.exists():
            yield from copy_with_links(path, root)
    if ZONES.is_dir():
        shutil.copytree(ZONES, root / ZONES.relative_to("/"), ignore=shutil.ignore_patterns("posix", "right"))
        yield ZONES / "UTC"
    for name, text in ETC.items():
        (root / "etc" / name).write_text(text)
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)
    work = root / "opt" / "aiopt"
    work.mkdir(parents=True)
    work.chmod(0o775)  # and group 0, for platforms that choose the user
    os.chown(work, USER, 0)


def compile_sources(root: Path, folders: Iterable[Path]) -> None:
    """Compile Python below *root*: its files cannot be written to later.

    The compiled files are bound to no time stamp, which layers of images may change.
    """
    for folder in folders:
        compileall.compile_dir(
            folder,
            maxlevels=99,
            quiet=2,
            workers=0,
            stripdir=str(root),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def dependencies(venv: Path, root: Path) -> None:
    """Collect everything but the package itself: the layer that seldom changes."""
    copied = list(copy_interpreter(venv, root))
    copy_environment(venv, root)
    copied += copy_libraries(root)
    copied += copy_system_files(root)
    debian_packages.register(copied, root)
    standard = [path for place in ("usr/lib", "usr/local/lib") for path in root.glob(f"{place}/python3*")]
    compile_sources(root, [*standard, root / "opt"])


def application(venv: Path, root: Path) -> None:
    """Collect the package alone, as it was installed into *venv*."""
    files = distribution(DISTRIBUTION).files or []
    for file in files:
        path = Path(os.path.normpath(str(file.locate())))
        if "__pycache__" not in path.parts and path.is_relative_to(venv):
            copy = root / path.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
    compile_sources(root, [root / "opt"])


if __name__ == "__main__":
    collect = {"dependencies": dependencies, "application": application}[sys.argv[1]]
    collect(Path(sys.argv[2]), Path(sys.argv[3]))
