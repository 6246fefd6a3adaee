"""What is in the wheel."""

from __future__ import annotations

import configparser
import email
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from airflow_provider_aiopt import __version__

pytestmark = pytest.mark.packaging

PACKAGE = Path("airflow_provider_aiopt")
VENDOR = f"{PACKAGE}/plugins/static/vendor"


@pytest.fixture(scope="module")
def archive(wheel: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(archive: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(archive.read(f"{dist_info()}/METADATA"))


def dist_info() -> str:
    return f"airflow_provider_aiopt-{__version__}.dist-info"


def test_it_holds_every_module_and_data_file_and_nothing_else(archive: zipfile.ZipFile) -> None:
    source = Path(__file__).parents[2]
    expected = {
        str(path.relative_to(source))
        for path in (source / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    found = {name for name in archive.namelist() if not name.startswith(dist_info())}
    assert found == expected
    assert {f"{PACKAGE}/py.typed", f"{PACKAGE}/telemetry/statsd_mapping.yaml"} <= found


def test_the_models_are_whole(archive: zipfile.ZipFile) -> None:
    cards = [name for name in archive.namelist() if name.endswith("/model.json")]
    assert f"{PACKAGE}/models/efficientnet_lite0_int8/model.json" in cards
    for name in cards:
        card = json.loads(archive.read(name))
        folder = name.rpartition("/")[0]
        content = archive.read(f"{folder}/{card['file']}")
        assert hashlib.sha256(content).hexdigest() == card["sha256"]
        assert f"{folder}/{card['labels']}" in archive.namelist()


def test_every_licence_is_there(archive: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    listed = set(metadata.get_all("License-File", []))
    model = f"{PACKAGE}/models/efficientnet_lite0_int8"
    assert {"LICENSE", f"{model}/LICENSE", f"{model}/LICENSE-labels"} <= listed
    assert {f"{VENDOR}/echarts.LICENSE", f"{VENDOR}/echarts.NOTICE"} <= listed
    assert {f"{dist_info()}/licenses/{name}" for name in listed} <= set(archive.namelist())


def test_the_charting_library_is_the_one_that_is_named(archive: zipfile.ZipFile) -> None:
    sums = re.findall(
        r"^([0-9a-f]{64})  (\S+)$", archive.read(f"{VENDOR}/VERSIONS.txt").decode(), re.MULTILINE
    )
    assert {name for _, name in sums} == {"echarts.min.js", "echarts.LICENSE", "echarts.NOTICE"}
    for digest, name in sums:
        assert hashlib.sha256(archive.read(f"{VENDOR}/{name}")).hexdigest() == digest


def test_entry_points(archive: zipfile.ZipFile) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(archive.read(f"{dist_info()}/entry_points.txt").decode())
    assert {section: dict(parser[section]) for section in parser.sections()} == {
        "airflow.plugins": {"aiopt": "airflow_provider_aiopt.plugins.plugin:StageTimingsPlugin"},
        "console_scripts": {"aiopt": "airflow_provider_aiopt.cli.main:main"},
        "apache_airflow_provider": {
            "provider_info": "airflow_provider_aiopt.get_provider_info:get_provider_info"
        },
    }


def test_extras_and_python(metadata: Message) -> None:
    extras = set(metadata.get_all("Provides-Extra", []))
    assert {"cpu", "gpu", "text", "plot", "s3", "gcs", "kubernetes", "redis", "torch", "export"} <= extras
    assert metadata["Requires-Python"] == ">=3.11"
    runtimes = [need for need in metadata.get_all("Requires-Dist", []) if need.startswith("onnxruntime")]
    assert all("extra ==" in need for need in runtimes), "no runtime is forced on anyone"


def test_the_core_needs_little(metadata: Message) -> None:
    needs = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    # Everyone who installs the provider gets these: a further one is to be decided, not to happen.
    assert {re.split(r"[<>=!~ \[;]", need)[0] for need in needs} == {
        "apache-airflow",
        "fsspec",
        "numpy",
        "pillow",
        "pyarrow",
        "pydantic",
        "pyyaml",
        "rich",
        "statsd",
        "tenacity",
        "watchfiles",
    }
    assert any(need.startswith("apache-airflow>=3.1") for need in needs)
