from __future__ import annotations

import pytest

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import ShardError

REF = ShardRef("ingest", "00000")
MANIFEST = ShardManifest(
    stage="ingest", shard="00000", fingerprint="f", records=1, rows=1, file="00000.arrow", file_bytes=1
)


@pytest.fixture
def workspace(folder: Folder) -> Workspace:
    return Workspace(folder.child("run-1"))


def test_a_run_is_named_by_its_folder(workspace: Workspace) -> None:
    assert workspace.run_id == "run-1"
    assert workspace.results.uri == f"{workspace.uri}/results"
    assert workspace.quarantine.uri == f"{workspace.uri}/quarantine"
    assert Workspace.open(f"{workspace.uri}/").run_id == "run-1"


def test_a_committed_shard_is_found(workspace: Workspace) -> None:
    workspace.commit(MANIFEST)

    assert workspace.manifest(REF) == workspace.find_manifest(REF) == MANIFEST


def test_an_unfinished_shard_is_none_or_an_error_with_the_way_out(workspace: Workspace) -> None:
    assert workspace.find_manifest(REF) is None
    with pytest.raises(
        ShardError, match=r"has no finished shard ingest/00000\. Run the stage 'ingest' first"
    ):
        workspace.manifest(REF)


def test_a_manifest_of_another_version_is_as_good_as_none(workspace: Workspace) -> None:
    workspace.stage("ingest").write("00000.json", b'{"schema_version": 2}')

    assert workspace.find_manifest(REF) is None
    with pytest.raises(ShardError, match="is no shard manifest of this version"):
        workspace.manifest(REF)
