"""The distributions that are installed, and what they ask for."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

from airflow_provider_aiopt.doctor.compatibility import Compatibility
from airflow_provider_aiopt.doctor.models import Finding, error, note, ok

_OURS = ("airflow-provider-aiopt", "apache-airflow", "celery", "onnxruntime", "torch", "tokenizers")


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution.

    :param name: its normalised name
    :param version: its version
    :param requires: the requirements of its metadata, extras included
    :param requires_python: the Python versions that it is for
    :param owns: the modules of a given list that its files belong to
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str | None = None
    owns: tuple[str, ...] = ()


def read_inventory(modules: Sequence[str], path: Sequence[str] | None = None) -> dict[str, Installed]:
    """Return what is installed, by name.

    :param modules: modules whose owners are wanted
    :param path: folders to look in; default :data:`sys.path`
    """
    from packaging.utils import canonicalize_name

    found: dict[str, Installed] = {}
    for item in distributions(path=list(sys.path if path is None else path)):
        name = canonicalize_name(item.metadata["Name"] or "")
        if name and name not in found:  # the first on the path is the one that counts
            metadata = dict(item.metadata.items())  # type: ignore[attr-defined]
            found[name] = Installed(
                name,
                item.version,
                tuple(item.requires or ()),
                metadata.get("Requires-Python"),
                tuple(_owned(item, modules)),
            )
    return found


def _owned(item: Distribution, modules: Sequence[str]) -> Iterator[str]:
    # Not .files, which looks for each of a hundred thousand files on the disk.
    record = item.read_text("RECORD") or "" if modules else ""
    return (module for module in modules if re.search(rf"^{module}/__init__\.py,", record, re.MULTILINE))


def judge_inventory(
    installed: Mapping[str, Installed], table: Compatibility, python: str
) -> Iterator[Finding]:
    """Judge whether what is installed fits together.

    :param python: the interpreter's version
    """
    found = [
        *_overwritten(installed.values(), table.modules),
        *_incompatible(installed, table),
        *_unmet(installed, python),
        *_untested(installed, table, python),
    ]
    yield from found
    if not found:
        checked = [item for item in installed.values() if _is_ours(item.name)]
        named = (item for item in checked if not item.name.startswith("apache-airflow-providers"))
        names = ", ".join(f"{item.name} {item.version}" for item in named)
        yield ok(
            "packages", f"the requirements of {len(checked)} of {len(installed)} are met, among them {names}"
        )


def _is_ours(name: str) -> bool:
    return name.startswith(_OURS)


def _overwritten(installed: Iterable[Installed], modules: Sequence[str]) -> Iterator[Finding]:
    owners: dict[str, list[Installed]] = defaultdict(list)
    for item in installed:
        for module in item.owns:
            owners[module].append(item)
    for module in modules:
        if len(owners[module]) > 1:
            names = [f"{item.name} {item.version}" for item in owners[module]]
            bare = " ".join(item.name for item in owners[module])
            yield error(
                f"module {module}",
                f"is installed by {' and by '.join(names)}: the one that came last has overwritten the "
                "other, and "
                "its devices are gone without a word",
                f"pip uninstall {bare}; then install the one that is wanted",
            )


def _incompatible(installed: Mapping[str, Installed], table: Compatibility) -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    for rule in table.incompatible:
        one, other = installed.get(rule.package), installed.get(rule.with_)
        if one is None or other is None:
            continue
        if one.version in SpecifierSet(rule.versions, prereleases=True) and other.version in SpecifierSet(
            rule.with_versions, prereleases=True
        ):
            yield error(
                one.name, f"{one.version} beside {other.name} {other.version}: {rule.why}", f"{rule.remedy}"
            )


def _unmet(installed: Mapping[str, Installed], python: str) -> Iterator[Finding]:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name

    for item in installed.values():
        if not _is_ours(item.name):
            continue
        subject = f"{item.name} {item.version}"
        if item.requires_python and python not in SpecifierSet(item.requires_python, prereleases=True):
            yield error(
                subject,
                f"is for Python {item.requires_python}, and this is {python}",
                f"Use a Python of {item.requires_python}, or another version of {item.name}",
            )
        for text in item.requires:
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            there = installed.get(canonicalize_name(wanted.name))
            if there is None:
                yield error(subject, f"needs {text}, which is not installed", f"pip install '{wanted}'")
            elif not wanted.specifier.contains(there.version, prereleases=True):
                yield error(
                    subject, f"needs {text}, and {there.version} is installed", f"pip install '{wanted}'"
                )


def _untested(installed: Mapping[str, Installed], table: Compatibility, python: str) -> Iterator[Finding]:
    versions = {"python": python} | {name: item.version for name, item in installed.items()}
    for name, tested in table.tested.items():
        version = versions.get(name)
        if version is None:
            continue
        minor = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        oldest, newest = (tuple(map(int, bound.split("."))) for bound in (tested.oldest, tested.newest))
        if not oldest <= minor <= newest:
            yield note(
                name,
                f"{version}; this version was tested with {tested.oldest} to {tested.newest}",
                "Nothing is known to be wrong with it: run `make test` of this project, or update the "
                "package",
            )
