"""What is in the runtime image, and what is not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from build_images import PYTHON, selected
from container_images import ROOT, inspect, mounted, podman, run_options
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from debian_packages import STATUS, parse_status
from render_requirements import pins

from airflow_provider_aiopt import __version__

pytestmark = pytest.mark.containers

LIMIT_BYTES = 450_000_000
SBOM = "usr/share/sbom/aiopt-runtime.cdx.json"

# Runs in the image: everything that Airflow is not needed for can be imported, and every requirement is met.
SUFFICES = """
import importlib, importlib.metadata, pkgutil, sys
import airflow_provider_aiopt as package
from packaging.requirements import Requirement
shells = ("airflow", "decorators", "links", "notifications", "operators", "plugins", "sensors", "triggers")
skipped = tuple(f"airflow_provider_aiopt.{shell}" for shell in shells)
names = [module.name for module in pkgutil.walk_packages(package.__path__, "airflow_provider_aiopt.",
                                                         onerror=lambda name: None)]
names = [name for name in names if not name.startswith(skipped)]
for name in names:
    importlib.import_module(name)
for name in ("onnxruntime", "tokenizers", "redis", "s3fs", "gcsfs", "pyarrow.parquet", "pyarrow.dataset"):
    importlib.import_module(name)
for found in importlib.metadata.distributions():
    for text in found.requires or ():
        need = Requirement(text)
        if need.name.startswith("apache-airflow"):
            continue
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        if need.name == "huggingface-hub":  # left out: scripts/render_requirements.py says why
            continue
        version = importlib.metadata.version(need.name)
        assert need.specifier.contains(version, prereleases=True), (found.name, text, version)
assert "airflow" not in sys.modules
print(len(names))
"""


@pytest.fixture(scope="module")
def root(runtime: str) -> Iterator[Path]:
    with mounted(runtime) as folder:
        yield folder


@pytest.fixture(scope="module")
def config(runtime: str) -> dict[str, Any]:
    return dict(inspect(runtime)["Config"])


def files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names)


def test_it_needs_nothing_more(runtime: str) -> None:
    python = ("--entrypoint=/opt/venv/bin/python", runtime, "-c", SUFFICES)
    assert int(podman(*run_options(), *python).stdout) > 150


def test_it_is_small(root: Path) -> None:
    # Each file once, however many names it has: what a node unpacks.
    sizes = {(status.st_ino): status.st_size for path in files(root) if (status := path.lstat())}
    assert sum(sizes.values()) < LIMIT_BYTES


def test_python_and_an_init_are_the_only_programs(root: Path) -> None:
    programs = {
        path.name
        for path in files(root)
        if not path.is_symlink() and path.lstat().st_mode & 0o111 and ".so" not in path.name
    }
    assert programs == {"aiopt", "dumb-init", f"python{PYTHON}"}
    names = {path.name for path in files(root)}
    for absent in ("sh", "bash", "busybox", "apt", "dpkg", "pip", "gcc", "cc1", "perl", "ldd", "curl", "su"):
        assert absent not in names
    packages = {path.name for path in root.glob("opt/venv/lib/*/site-packages/*")}
    assert not packages & {"pip", "setuptools", "airflow", "hatchling", "cyclonedx_py"}


def test_nobody_gains_rights_or_writes_where_code_lies(root: Path) -> None:
    for path in files(root):
        mode = path.lstat().st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID), path
        assert stat.S_ISLNK(mode) or not mode & stat.S_IWOTH, path
    owners = {path.lstat().st_uid for path in files(root)}
    assert owners == {0}
    work = (root / "opt/aiopt").stat()
    assert (work.st_uid, work.st_gid, stat.S_IMODE(work.st_mode)) == (50000, 0, 0o775)
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777


def test_every_shared_library_has_an_origin(root: Path) -> None:
    """Outside the environment, each file of the system is noted as a Debian package's."""
    packages = [parse_status(file.read_text()) for file in sorted((root / STATUS).iterdir())]
    assert {"libc6", "libstdc++6", "libssl3", "ca-certificates"} <= {status["Package"] for status in packages}
    for status in packages:
        assert (root / "usr/share/doc" / status["Package"] / "copyright").is_file(), status["Package"]


def test_the_bill_of_materials_is_right(root: Path) -> None:
    sbom = json.loads((root / SBOM).read_text())
    # cyclonedx-py judged its own part when it wrote it, which takes the schema's validator many seconds.
    ours = [part for part in sbom["components"] if not part.get("purl", "").startswith("pkg:pypi/")]
    refs = {part["bom-ref"] for part in ours}
    written = sbom | {"components": ours}
    written["dependencies"] = [part for part in sbom["dependencies"] if part["ref"] in refs]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(written)) is None

    listed = {(part["name"].lower().replace("_", "-"), part["version"]) for part in sbom["components"]}
    requirements = (ROOT / "docker/runtime-requirements.txt").read_text()
    pinned = {
        (name, version)
        for name, versions in pins(selected(requirements, PYTHON, os.uname().machine)).items()
        for version in versions
    }
    debian = {
        (status["Package"].lower(), status["Version"])
        for status in (parse_status(file.read_text()) for file in (root / STATUS).iterdir())
    }
    component = sbom["metadata"]["component"]
    listed |= {(component["name"], component.get("version", __version__))}
    # A pin may be for other patch levels of Python; what is installed is the truth, and all of it is listed.
    packages = [str(path) for path in root.glob("opt/venv/lib/*/site-packages")]
    installed = {
        (found.metadata["Name"].lower().replace("_", "-").replace(".", "-"), found.version)
        for found in importlib.metadata.distributions(path=packages)
    }
    assert listed == installed | debian
    assert installed - {("airflow-provider-aiopt", __version__)} <= pinned
    assert len(pinned - installed) <= 1
    urls = [part["purl"] for part in sbom["components"] if "purl" in part]
    assert all(re.match(r"pkg:(pypi|deb/debian)/", url) for url in urls)


def test_the_image_says_what_it_is(config: dict[str, Any]) -> None:
    labels = {key.removeprefix("org.opencontainers.image."): text for key, text in config["Labels"].items()}
    assert (labels["title"], labels["licenses"]) == ("aiopt-runtime", "Apache-2.0")
    assert labels["version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["revision"])
    assert config["User"] == "50000:0"
    assert config["WorkingDir"] == "/opt/aiopt"
    assert "Healthcheck" not in config


def test_no_secret_and_no_path_of_the_builder_is_in_it(
    runtime: str, root: Path, config: dict[str, Any]
) -> None:
    history = podman("history", "--no-trunc", "--format={{.CreatedBy}}", runtime).stdout
    for text in (*config["Env"], history):
        assert not re.search(r"(?i)password|secret|token|credential|index[-_]url|api[-_]?key", text)
        assert str(ROOT) not in text
    suspicious = re.compile(r"(?i)(^|/)(\.netrc|\.pypirc|pip\.conf|\.env|id_rsa|.*\.key|\.git|\.docker)$")
    assert [path for path in files(root) if suspicious.search(str(path))] == []
