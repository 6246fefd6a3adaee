"""Ask whether any pinned dependency has a known vulnerability: constraints.txt and the images' requirements.

pip-audit looks every pin up in the advisories that PyPI serves, or in those of the OSV service that
``AIOPT_OSV_URL`` names.  A pin that nobody answers about is no pin without vulnerabilities: the run says that
it was not audited.  The exit code is 0 then, or 1 under ``AIOPT_REQUIRE_AUDIT=1``; a vulnerability always
gives 1.  ``docker/audit-ignore.txt`` waives what does not concern this project: identifier and reason.

Usage: ``python scripts/audit.py [FILE ...]``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_images import entries

ROOT = Path(__file__).resolve().parents[1]
PINS = (
    "constraints.txt",
    "docker/airflow-requirements.txt",
    "docker/build-requirements.txt",
    "docker/runtime-gpu-requirements.txt",
    "docker/runtime-requirements.txt",
)
IGNORED = ROOT / "docker" / "audit-ignore.txt"
REQUIRED = "AIOPT_REQUIRE_AUDIT"
SERVICE = "AIOPT_OSV_URL"


@dataclass(frozen=True)
class Audit:
    """What is known of some pins.

    :param flaws: a line for each vulnerability
    :param unknown: pins that nobody answered about, or the one reason why none was
    :param audited: how many pins were looked up
    """

    flaws: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    audited: int = 0

    def __add__(self, other: Audit) -> Audit:
        """Return what is known of the pins of both."""
        return Audit(self.flaws | other.flaws, self.unknown | other.unknown, self.audited + other.audited)


def pinned(text: str) -> set[str]:
    """Return every pin of a requirements file as ``name==version``, whatever platform it is for."""
    return {f"{need.name}{need.specifier}" for need, _ in entries(text)}


def rounds(pins: Iterable[str]) -> Iterator[list[str]]:
    """Split pins so that no two of a round are versions of the same package, which pip-audit refuses."""
    left = sorted(pins)
    while left:
        first: dict[str, str] = {}
        for pin in left:
            first.setdefault(pin.partition("==")[0], pin)
        yield list(first.values())
        left = [pin for pin in left if pin not in first.values()]


def waived(text: str) -> dict[str, str]:
    """Return the advisories that do not concern this project, with the reason.

    :raises ValueError: where one has no reason
    """
    found = {}
    for line in (line for line in text.splitlines() if line.strip() and not line.startswith("#")):
        identifier, _, reason = line.partition(" ")
        if not reason.strip():
            raise ValueError(f"{IGNORED.name}: {identifier} has no reason; write it behind the identifier")
        found[identifier] = reason.strip()
    return found


def read_report(report: dict[str, Any]) -> Audit:
    """Read pip-audit's JSON.

    A package that it could not look up has a ``skip_reason`` in place of a version.
    """
    found = report["dependencies"]
    flaws = {
        f"{one['name']} {one['version']}: {flaw['id']} ({', '.join(flaw['aliases']) or 'no alias'}), "
        f"fixed in {', '.join(flaw['fix_versions']) or 'no version'}"
        for one in found
        for flaw in one.get("vulns", ())
    }
    unknown = {one["skip_reason"] for one in found if "skip_reason" in one}
    return Audit(frozenset(flaws), frozenset(unknown), len(found) - len(unknown))


def audit(pins: list[str], ignore: Iterable[str]) -> Audit:
    """Run pip-audit on pins of different packages, without the advisories *ignore*."""
    service = os.environ.get(SERVICE)
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "pins.txt")
        requirements.write_text("\n".join(pins))
        command = [
            *(sys.executable, "-m", "pip_audit", "--requirement", requirements, "--no-deps", "--disable-pip"),
            *("--format=json", "--progress-spinner=off", "--desc=off", "--timeout=10"),
            *(("--vulnerability-service=osv", f"--osv-url={service}") if service else ()),
            *(f"--ignore-vuln={identifier}" for identifier in ignore),
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return read_report(json.loads(ended.stdout))
    except ValueError:
        lines = ended.stderr.strip().splitlines() or ["pip-audit said nothing"]
        return Audit(unknown=frozenset([lines[-1]]))


def main() -> int:
    """Audit, print what was found and return the exit code."""
    paths = [Path(name) for name in sys.argv[1:]] or [ROOT / name for name in PINS]
    pins = set().union(*(pinned(path.read_text()) for path in paths))
    ignore = waived(IGNORED.read_text())
    known = sum((audit(some, ignore) for some in rounds(pins)), Audit())
    for flaw in sorted(known.flaws):
        print(flaw)
    found = f"{len(known.flaws)} vulnerabilities, {len(ignore)} waived"
    print(f"{known.audited} of {len(pins)} pins audited: {found}")
    if known.unknown:
        print(f"Not audited, so nothing is known of the others. The first reason: {min(known.unknown)}")
        print(f"The advisories come from PyPI, or from {SERVICE}; {REQUIRED}=1 makes their want an error.")
    required = os.environ.get(REQUIRED) == "1"
    return int(bool(known.flaws) or (required and bool(known.unknown)))


if __name__ == "__main__":
    sys.exit(main())
