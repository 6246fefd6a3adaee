"""Google Cloud Storage's notifications through Pub/Sub, on Google's own in-memory server.

Google's provider brings some 200 packages, so it has an environment of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_support import REPOSITORY, clean_environment
from components import requires_success
from message_servers import PubsubEmulator, connection

from airflow_provider_aiopt.uploads.notifications import uploads_of_event

pytestmark = pytest.mark.integration

ATTRIBUTES = {
    "bucketId": "photos",
    "objectId": "in/ü a.jpg",
    "objectGeneration": "17",
    "payloadFormat": "JSON_API_V1",
}
OBJECT = {"kind": "storage#object", "bucket": "photos", "name": "in/ü a.jpg", "generation": "17", "size": "7"}


@pytest.fixture
def emulator() -> Iterator[PubsubEmulator]:
    server = PubsubEmulator()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def google_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the extra ``pubsub`` and nothing else."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv") or "uv"
    folder = tmp_path_factory.mktemp("google") / "venv"
    requires_success("uv", [uv, "venv", "--quiet", "--python", sys.executable, str(folder)], "make install")
    python = folder / "bin" / "python"
    command = [uv, "pip", "install", "--quiet", "--python", str(python), "-e", f"{REPOSITORY}[pubsub]"]
    requires_success("package registry", command, "needs uv and a registry that it reaches")
    return python


def test_notifications_of_a_bucket(emulator: PubsubEmulator, google_python: Path, tmp_path: Path):
    messages = [
        {"data": json.dumps(OBJECT), "attributes": ATTRIBUTES | {"eventType": "OBJECT_FINALIZE"}},
        {"data": json.dumps(OBJECT), "attributes": ATTRIBUTES | {"eventType": "OBJECT_DELETE"}},
        {"data": "hello", "attributes": {}},
    ]
    google = connection("google_cloud_platform", extra={"project": "photos", "is_anonymous": True})
    environment = clean_environment() | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": google,
        "PUBSUB_EMULATOR_HOST": emulator.address,
    }
    ended = subprocess.run(
        [google_python, Path(__file__).with_name("pull_from_pubsub.py")],
        input=json.dumps(messages),
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout.splitlines()[-1])
    received = [uploads_of_event(payload, received_at=1.0) for payload in answer["payloads"]]
    (upload,) = [upload for each in received for upload in each.uploads]
    assert (upload.uri, upload.size, upload.version) == ("gs://photos/in/ü a.jpg", 7, "17")
    (letter,) = [letter for each in received for letter in each.dead_letters]
    assert letter.content == "aGVsbG8="
    assert answer["acknowledged_again"] == []
