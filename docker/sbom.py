"""Complete the runtime image's bill of materials: the Debian packages and the interpreter beside the wheels.

``cyclonedx-py`` lists the Python distributions.  The shared libraries beside them come from Debian's
packages, and an interpreter that no package owns was built by the base image.

Usage: ``python3 sbom.py SBOM ROOT``, within the build of the image
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from debian_packages import STATUS, parse_status


def debian_component(status: Mapping[str, str], release: str) -> dict[str, Any]:
    """Return the component of a Debian package.

    :param status: the package's fields in dpkg's status
    :param release: the distribution, for example ``debian-12``
    """
    name, version = status["Package"], status["Version"]
    architecture = status["Architecture"]
    place = f"{quote(name, safe='')}@{quote(version, safe='')}"
    url = f"pkg:deb/debian/{place}?arch={architecture}&distro={release}"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def python_component(version: str) -> dict[str, Any]:
    """Return the component of an interpreter that no package owns."""
    url = f"pkg:generic/python@{version}"
    return {"type": "platform", "bom-ref": url, "name": "python", "version": version, "purl": url}


def completed(sbom: dict[str, Any], packages: Iterable[Mapping[str, str]], release: str) -> dict[str, Any]:
    """Return the bill of materials with Debian's packages and the interpreter.

    :param sbom: CycloneDX, as parsed from JSON
    :param packages: each package's fields in dpkg's status
    :param release: the distribution, for example ``debian-12``
    """
    added = [debian_component(status, release) for status in packages]
    if not any(component["name"].startswith("libpython") for component in added):
        added.append(python_component(platform.python_version()))
    components = [*sbom.get("components", []), *added]
    dependencies = [*sbom.get("dependencies", []), *({"ref": component["bom-ref"]} for component in added)]
    return sbom | {"components": components, "dependencies": dependencies}


def main() -> None:
    """Rewrite the file that the command line names."""
    path, root = Path(sys.argv[1]), Path(sys.argv[2])
    packages = [parse_status(file.read_text()) for file in sorted((root / STATUS).iterdir())]
    release = platform.freedesktop_os_release()
    name = f"{release['ID']}-{release.get('VERSION_ID', 'unknown')}"
    path.write_text(json.dumps(completed(json.loads(path.read_text()), packages, name), indent=1) + "\n")


if __name__ == "__main__":
    main()
