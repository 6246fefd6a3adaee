from __future__ import annotations

import pytest
from pydantic import ValidationError

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef, shard_name
from airflow_provider_aiopt.exceptions import ShardError

VALUES = {
    "stage": "preprocess",
    "shard": "00003",
    "fingerprint": "f" * 64,
    "records": 10,
    "rows": 7,
    "quarantined": 1,
    "quarantined_before": 2,
    "file": "00003.arrow",
    "file_bytes": 100,
}


@pytest.mark.parametrize("text", ["ingest/00000", "preprocess/00001", "inference/12345", "postprocess/99999"])
def test_references_survive(text: str) -> None:
    assert str(ShardRef.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ingest",
        "ingest/0",
        "ingest/000000",
        "ingest/00000\n",
        " ingest/00000",
        "ingest/../00000",
        "../ingest/00000",
        "/ingest/00000",
        "ingest/..",
        "results/00000",
        "ingest\\00000",
        "ingest/" + 5 * "\u0660",
        "s3://bucket/ingest/00000",
    ],
)
def test_nothing_else_is_a_reference(text: str) -> None:
    with pytest.raises(ShardError, match="is no shard reference; expected one like 'ingest/00000'"):
        ShardRef.parse(text)


@pytest.mark.parametrize("index", [0, 7, 99_999])
def test_every_shard_has_a_name_that_can_be_referred_to(index: int) -> None:
    assert ShardRef.parse(f"ingest/{shard_name(index)}").shard == shard_name(index)


def test_manifests_survive() -> None:
    manifest = ShardManifest.model_validate(VALUES)

    assert ShardManifest.from_json(manifest.model_dump_json().encode(), "x") == manifest
    assert manifest.ref == ShardRef("preprocess", "00003")
    assert manifest.bad == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stage", "../ingest"),
        ("shard", "../3"),
        ("shard", "00003\n"),
        ("file", "../../etc/passwd"),
        ("file", "/etc/passwd"),
        ("file", "00003.arrow/../../x"),
        ("file", "00003.parquet\n"),
        ("rows", -1),
        ("quarantined", -1),
        ("surprise", 1),
        ("schema_version", 2),
    ],
)
def test_no_name_in_a_manifest_leads_elsewhere(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        ShardManifest.model_validate(VALUES | {key: value})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_what_is_no_manifest_says_what_to_do(content: bytes) -> None:
    with pytest.raises(
        ShardError, match=r"^/run/00000\.json is no shard manifest of this version: .*Clear the stage"
    ):
        ShardManifest.from_json(content, "/run/00000.json")
