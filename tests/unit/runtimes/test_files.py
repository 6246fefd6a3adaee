from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import (
    ModelIntegrityError,
    ModelLoadError,
    ModelNotFoundError,
    SpecError,
    StorageError,
)
from airflow_provider_aiopt.runtimes import files as files_module
from airflow_provider_aiopt.runtimes.files import builtin_models, file_sha256, find_model, read_labels
from airflow_provider_aiopt.spec import ModelSpec


def write_folder(folder: Path, **card: Any) -> Path:
    """Write a model folder as ``aiopt model export`` would."""
    file = linear_model(folder / "model.onnx", np.ones((2, 2)))
    tensor = {"name": "x", "dtype": "float32", "shape": ["batch", 2]}
    values = {
        "schema_version": 1,
        "name": "tiny",
        "task": "other",
        "file": "model.onnx",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "licence": "Apache-2.0",
        "source": [],
        "command": "none",
        "precision": "fp32",
        "opset": 17,
        "inputs": [tensor],
        "outputs": [tensor],
    }
    (folder / "model.json").write_text(json.dumps(values | card))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


@pytest.fixture
def remote(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of the model folder on a remote file system; its copies go to ``tmp_path / "cache"``."""
    monkeypatch.setenv("AIOPT_CACHE_DIR", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe_file(f"/models/tiny/{path.name}", path.read_bytes())
    yield "memory://models/tiny"
    memory.rm("/models", recursive=True)


def test_a_folder_is_found_by_its_card(folder: Path) -> None:
    files = find_model(ModelSpec(uri=str(folder)))

    assert files.file == folder / "model.onnx"
    assert files.sha256 == file_sha256(files.file)
    assert files.card is not None
    assert files.card.name == "tiny"


class TestDigest:
    @pytest.fixture(autouse=True)
    def nothing_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files_module, "_digests", {})

    @pytest.fixture
    def hashed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What was hashed, as if a minute after it was written."""
        hashed: list[str] = []
        file_digest, time_ns = hashlib.file_digest, time.time_ns

        def record(stream: Any, name: str) -> Any:
            hashed.append(Path(stream.name).name)
            return file_digest(stream, name)

        monkeypatch.setattr(hashlib, "file_digest", record)
        monkeypatch.setattr(time, "time_ns", lambda: time_ns() + 60 * 10**9)
        return hashed

    def test_a_process_reads_a_file_once(self, folder: Path, hashed: list[str]) -> None:
        first, again = (find_model(ModelSpec(uri=str(folder))) for _ in range(2))

        assert first.sha256 == again.sha256
        assert hashed == ["model.onnx"]

    def test_a_changed_file_is_read_again_though_its_size_and_time_are_the_same(
        self, tmp_path: Path, hashed: list[str]
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"one")
        status = file.stat()
        assert file_sha256(file) == hashlib.sha256(b"one").hexdigest()

        while (
            file.stat().st_ctime_ns == status.st_ctime_ns
        ):  # the kernel's clock ticks every few milliseconds
            file.write_bytes(b"two")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert file_sha256(file) == hashlib.sha256(b"two").hexdigest()

    def test_a_file_that_takes_the_place_of_another_is_read(self, tmp_path: Path, hashed: list[str]) -> None:
        file, other = tmp_path / "file", tmp_path / "other"
        file.write_bytes(b"one")
        other.write_bytes(b"two")
        file_sha256(file)

        other.replace(file)
        assert file_sha256(file) == hashlib.sha256(b"two").hexdigest()

    def test_a_file_that_has_just_changed_may_change_again_in_the_same_moment(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"one")
        file_sha256(file)

        assert files_module._digests == {}


def test_a_file_within_a_folder_has_its_card(folder: Path) -> None:
    assert find_model(ModelSpec(uri=str(folder / "model.onnx"))).card is not None


def test_a_card_speaks_of_its_own_file_alone(folder: Path) -> None:
    linear_model(folder / "other.onnx", np.zeros((2, 2)))
    assert find_model(ModelSpec(uri=str(folder / "other.onnx"))).card is None


def test_a_bare_file_needs_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linear_model(tmp_path / "bare.onnx", np.ones((2, 2)))
    monkeypatch.chdir(tmp_path)
    assert find_model(ModelSpec(uri="bare.onnx")).card is None


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nowhere/model.onnx", r"has no file .*nowhere/model\.onnx"),
        (
            "nowhere",
            r"no model file \(\.onnx, .*\) and no model folder: .* no model\.json.*aiopt model export",
        ),
    ],
)
def test_what_is_missing_is_named(
    uri: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError, match=message):
        find_model(ModelSpec(uri=uri))


def test_a_card_that_names_no_file_there_is(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelNotFoundError, match="has no file"):
        find_model(ModelSpec(uri=str(folder)))


def test_a_broken_card_is_the_users_to_mend(folder: Path) -> None:
    (folder / "model.json").write_text("{")
    with pytest.raises(SpecError, match=r"model\.json is no JSON"):
        find_model(ModelSpec(uri=str(folder)))


@pytest.mark.parametrize("pinned_by", ["model.sha256", "its model.json"])
def test_another_hash_than_the_pinned_one_is_refused(tmp_path: Path, pinned_by: str) -> None:
    wrong = "0" * 64
    in_card = pinned_by != "model.sha256"
    folder = write_folder(tmp_path / "tiny", **({"sha256": wrong} if in_card else {}))
    spec = ModelSpec(uri=str(folder), sha256=None if in_card else wrong)

    with pytest.raises(ModelIntegrityError, match=rf"{pinned_by} pins {wrong}"):
        find_model(spec)


def test_the_pinned_hash_may_be_written_in_capitals(folder: Path) -> None:
    digest = file_sha256(folder / "model.onnx").upper()
    assert find_model(ModelSpec(uri=str(folder), sha256=digest)).sha256 == digest.lower()


def test_an_unknown_builtin_is_answered_with_those_there_are() -> None:
    with pytest.raises(ModelNotFoundError, match=r"no builtin model 'nope'; there is: .*efficientnet-lite0"):
        find_model(ModelSpec(uri="builtin:nope"))


def test_builtin_models_are_found_under_their_names() -> None:
    assert "efficientnet-lite0-int8" in builtin_models()
    for name in builtin_models():
        files = find_model(ModelSpec(uri=f"builtin:{name}"))
        assert files.card is not None
        assert files.card.name == name


def test_a_remote_model_is_copied_once(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[str] = []
    download = Folder.download

    def counted(self: Folder, name: str, target: Path) -> None:
        downloads.append(name)
        download(self, name, target)

    monkeypatch.setattr(Folder, "download", counted)
    first, second = (find_model(ModelSpec(uri=remote)) for _ in range(2))

    assert first.file == second.file
    assert first.file.is_file()
    assert downloads == ["model.onnx"]


def test_a_remote_model_that_changed_is_copied_again(remote: str) -> None:
    before = find_model(ModelSpec(uri=f"{remote}/model.onnx", sha256=None))
    memory = fsspec.filesystem("memory")
    memory.rm("/models/tiny/model.json")
    memory.pipe_file("/models/tiny/model.onnx", b"another")

    after = find_model(ModelSpec(uri=f"{remote}/model.onnx"))

    assert after.file.read_bytes() == b"another"
    assert after.sha256 != before.sha256


def test_a_remote_file_that_is_missing_is_named(remote: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"has no file memory://models/tiny/none\.onnx"):
        find_model(ModelSpec(uri=f"{remote}/none.onnx"))


def test_a_cache_that_cannot_be_written_may_be_tried_again(
    remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AIOPT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="copy to this machine memory://models/tiny") as caught:
        find_model(ModelSpec(uri=remote))
    assert caught.value.retryable


class TestLabels:
    def labels(self, folder: Path, content: bytes, **spec: Any) -> tuple[str, ...] | None:
        path = folder / "labels.txt"
        path.write_bytes(content)
        spec = {"uri": str(folder), "labels": str(path)} | spec
        return read_labels(ModelSpec(**spec), find_model(ModelSpec(uri=str(folder))))

    @pytest.mark.parametrize(
        "content", [b"cat\ndog\n", b"cat\ndog", b"cat\r\ndog\r\n", b"\xef\xbb\xbfcat\ndog\n"]
    )
    def test_one_to_a_line(self, folder: Path, content: bytes) -> None:
        assert self.labels(folder, content) == ("cat", "dog")

    def test_only_newlines_end_a_line(self, folder: Path) -> None:
        assert self.labels(folder, "tub\u2028bath\n\ncup".encode()) == ("tub\u2028bath", "", "cup")

    def test_without_any(self, folder: Path) -> None:
        assert self.labels(folder, b"") == ()
        assert self.labels(folder, b"", labels=None) is None

    def test_the_cards_own(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "tiny", labels="names.txt")
        (folder / "names.txt").write_text("a\nb\n")
        spec = ModelSpec(uri=str(folder))
        assert read_labels(spec, find_model(spec)) == ("a", "b")

    def test_a_missing_file(self, folder: Path) -> None:
        with pytest.raises(ModelNotFoundError, match=r"names .*none\.txt, but there is no such file"):
            self.labels(folder, b"", labels=str(folder / "none.txt"))

    def test_bytes_that_are_no_text(self, folder: Path) -> None:
        with pytest.raises(ModelLoadError, match="no UTF-8 text"):
            self.labels(folder, b"caf\xe9")
