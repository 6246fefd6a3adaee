from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upload_watching import make_upload

from airflow_provider_aiopt.exceptions import UploadRecordError
from airflow_provider_aiopt.uploads import BatchStore, ClaimStore
from airflow_provider_aiopt.uploads.claims import consumer_folder
from airflow_provider_aiopt.uploads.keyfiles import KeyFiles
from airflow_provider_aiopt.uploads.pruning import prune
from airflow_provider_aiopt.uploads.state import UploadState, all_states

WATCH = "0123456789abcdef"
UPLOADS = [make_upload(f"{number}.jpg") for number in range(3)]
KEYS = {upload.key for upload in UPLOADS}


@pytest.fixture(params=["local", "memory"])
def state(request: pytest.FixtureRequest, tmp_path: Path, bucket: str) -> str:
    return str(tmp_path / "state") if request.param == "local" else bucket


@pytest.fixture
def claims(state: str) -> ClaimStore:
    return ClaimStore.open(state, WATCH, clock=itertools.count(100).__next__)


def test_another_run_gets_what_is_left(claims: ClaimStore) -> None:
    assert claims.claim(UPLOADS[:2], "dag", "first") == (UPLOADS[:2], [])
    assert claims.claim(UPLOADS, "dag", "second") == (UPLOADS[2:], UPLOADS[:2])
    assert claims.claim(UPLOADS, "dag", "first") == (UPLOADS[:2], UPLOADS[2:])
    assert claims.claim(UPLOADS, "another dag", "first") == (UPLOADS, [])


def test_an_upload_that_is_named_twice_is_one(claims: ClaimStore) -> None:
    assert claims.claim([UPLOADS[0]] * 2, "dag", "run").ours == UPLOADS[:1]


def test_who_has_what(claims: ClaimStore) -> None:
    claims.claim(UPLOADS[:1], "dag", "run")
    owner = claims.owner(UPLOADS[0].key, "dag")
    assert owner is not None
    assert (owner.run_id, owner.uri, owner.size, owner.claimed_at) == ("run", UPLOADS[0].uri, 5, 100)
    assert claims.owner(UPLOADS[1].key, "dag") is None
    assert list(claims.all("dag")) == [owner]
    assert claims.claimed(KEYS) == {UPLOADS[0].key}


def test_pruning_forgets_no_upload(claims: ClaimStore) -> None:
    claims.claim(UPLOADS, "dag", "run")
    assert prune(claims, before=102) == 2
    assert prune(claims, before=102) == 0
    assert len(list(claims.all("dag"))) == 1
    assert claims.claimed(KEYS) == KEYS
    assert claims.claim(UPLOADS, "dag", "another").ours == []
    assert len(list(claims.all("dag"))) == 1, "what was claimed for a moment is given back"


def test_releasing_lets_another_run_have_it(state: str) -> None:
    kept = UploadState.open(state, WATCH)
    kept.claims.claim(UPLOADS, "dag", "run")
    (claim,) = (claim for claim in kept.claims.all("dag") if claim.uri == UPLOADS[0].uri)
    kept.release(claim)
    assert [release.upload.key for release in kept.releases()] == [claim.key]
    assert kept.claims.claim(UPLOADS, "dag", "another").ours == UPLOADS[:1]
    assert kept.releases() == []
    assert list(all_states(state)) == [WATCH]


def test_a_damaged_claim_is_nobodys_and_said(tmp_path: Path) -> None:
    claims = ClaimStore.open(str(tmp_path), WATCH)
    claims.claim(UPLOADS[:1], "dag", "run")
    (file,) = tmp_path.glob(f"{WATCH}/claims/dag/*/*.json")
    file.write_text("{")
    with pytest.raises(UploadRecordError, match=r"is no claim of this version\. Remove the file"):
        claims.claim(UPLOADS[:1], "dag", "run")


@given(st.sets(st.text(min_size=1, max_size=300), max_size=20))
def test_any_consumer_has_a_folder_of_its_own(consumers: set[str]) -> None:
    folders = {consumer_folder(consumer) for consumer in consumers if consumer.isprintable()}
    assert len(folders) == len({consumer for consumer in consumers if consumer.isprintable()})
    for folder in folders:
        assert len(folder.encode()) <= 255
        assert "/" not in folder
        assert not folder.startswith(".")


def test_a_long_name_is_found_again_by_what_stands_for_it(claims: ClaimStore) -> None:
    claims.claim(UPLOADS, "é" * 250, "run")
    (consumer,) = claims.consumers()
    assert claims.claimed_by(consumer, KEYS) == claims.claimed_by("é" * 250, KEYS) == KEYS


@given(added=st.lists(st.sets(st.binary(min_size=16, max_size=16), max_size=8), max_size=4))
def test_key_files_hold_what_was_added(
    added: list[set[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from airflow_provider_aiopt.data.folder import Folder

    files = KeyFiles(Folder.open(str(tmp_path_factory.mktemp("keys"))))
    every = {key.hex() for keys in added for key in keys}
    for keys in added:
        files.add(keys)
    for _ in range(2):
        assert files.among([*every, "00" * 16]) == every | ({"00" * 16} & every)
        files.merge()
    assert len(files.parts()) == bool(every)


def test_batches_stay_until_they_are_finished(state: str) -> None:
    folder = UploadState.open(state, WATCH).folder
    batches = BatchStore(folder, "dag")
    batch = batches.begin(UPLOADS)
    assert batch is not None
    assert batches.begin(UPLOADS[::-1]) is None, "it is kept already"
    assert [pending.run_id for pending in BatchStore(folder, "dag").pending()] == [batch.run_id]
    assert set(batches.pending()[0].uploads) == set(UPLOADS)
    assert BatchStore(folder, "another").pending() == []
    batches.finish(batch)
    batches.finish(batch)
    assert batches.pending() == []


def test_a_file_that_is_no_batch_keeps_no_other_from_being_found(
    state: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = UploadState.open(state, WATCH).folder
    batches = BatchStore(folder, "dag")
    batch = batches.begin(UPLOADS)
    assert batch is not None
    folder.child("batches").child("dag").write("a.json", b"{}")
    for _ in range(2):
        assert [found.run_id for found in batches.pending()] == [batch.run_id]
    assert caplog.text.count("a.json is no batch of this version") == 1
