#!/usr/bin/env python3
"""Fetch one version of Apache ECharts from the npm registry into the pages' vendor folder.

Needs npm, which only a maintainer who updates the library has to have::

    python scripts/vendor_echarts.py 6.1.0
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "airflow_provider_aiopt" / "plugins" / "static" / "vendor"
FILES = {
    "package/dist/echarts.min.js": "echarts.min.js",
    "package/LICENSE": "echarts.LICENSE",
    "package/NOTICE": "echarts.NOTICE",
}


def fetch(version: str, folder: Path) -> Path:
    """Return the package's archive, downloaded and checked by npm."""
    command = ["npm", "pack", f"echarts@{version}", "--silent", "--pack-destination", str(folder)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return folder / name


def vendor(archive: Path, version: str) -> None:
    """Copy what the pages need out of *archive*, and write down what it is."""
    lines = [f"Apache ECharts {version}, Apache-2.0, https://echarts.apache.org", "sha256 of each file:"]
    VENDOR.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for member, name in FILES.items():
            stream = package.extractfile(member)
            if stream is None:
                raise SystemExit(f"{archive.name}: {member} is no file")
            content = stream.read()
            (VENDOR / name).write_bytes(content)
            lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}")
    lines.append("Refresh with: python scripts/vendor_echarts.py VERSION")
    (VENDOR / "VERSIONS.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Read the version from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", help="for example 6.1.0")
    version = parser.parse_args().version
    with tempfile.TemporaryDirectory() as folder:
        vendor(fetch(version, Path(folder)), version)


if __name__ == "__main__":
    main()
