"""Finding a model's files and checking that they are the pinned ones."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder, resolve_filesystem
from airflow_provider_aiopt.exceptions import ModelIntegrityError, ModelLoadError, ModelNotFoundError
from airflow_provider_aiopt.spec.card import CARD_FILE, ModelCard, parse_card
from airflow_provider_aiopt.spec.model import BUILTIN_SCHEME, RUNTIME_FILES, ModelSpec

_ENDINGS = tuple(ending for endings in RUNTIME_FILES.values() for ending in endings)

_SETTLED_NS = 2_000_000_000
"""Age, in nanoseconds, of a change that a later one cannot share its time with, whatever the clock's step."""

_digests: dict[tuple[int, ...], str] = {}

BUILTIN_MODELS = Path(__file__).resolve().parent.parent / "models"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files on this machine.

    :param uri: what the spec calls the model
    :param file: the model file
    :param sha256: its hash, which is the pinned one where one is pinned
    :param card: the model folder's card, None for a bare file
    :param folder: where the card, the labels and the tokenizer lie
    """

    uri: str
    file: Path
    sha256: str
    card: ModelCard | None
    folder: Folder

    def local(self, name: str) -> Path:
        """Return the local path of the file *name* beside the model.

        :raises ModelNotFoundError: if there is none
        """
        return _local_copy(self.folder, name, self.uri)


def find_model(spec: ModelSpec, *, resolver: FileSystemResolver = resolve_filesystem) -> ModelFiles:
    """Find the model that *spec* names, bring it to this machine and check its hash.

    :raises ModelNotFoundError: if there is no such model
    :raises ModelIntegrityError: if its hash is not the pinned one
    :raises StorageError: if a remote one cannot be copied
    """
    folder, named = _locate(spec, resolver)
    card = _card(folder)
    if card is not None and named not in (None, card.file):
        card = None  # it speaks of another file in the same folder
    name = named or (card.file if card else None)
    if name is None:
        raise ModelNotFoundError(
            f"The model {spec.uri} is no model file ({', '.join(_ENDINGS)}) and no model folder: it has "
            f"no {CARD_FILE}. Give the model file itself, or make a folder with: aiopt model export"
        )
    file = _local_copy(folder, name, spec.uri)
    digest = file_sha256(file)
    for pinned, origin in ((spec.sha256, "model.sha256"), (card and card.sha256, f"its {CARD_FILE}")):
        if pinned and pinned != digest:
            raise ModelIntegrityError(
                f"The model {spec.uri} has the sha256 {digest}, but {origin} pins {pinned}. The file was "
                "changed or is another one: get the right file, or pin this hash if you trust it"
            )
    return ModelFiles(uri=spec.uri, file=file, sha256=digest, card=card, folder=folder)


def read_labels(spec: ModelSpec, files: ModelFiles) -> tuple[str, ...] | None:
    """Return the class names of a model, or None where neither the spec nor the card names any.

    :raises ModelNotFoundError: if the named file is missing
    :raises ModelLoadError: if it is no text
    """
    if spec.labels:
        path = Path(spec.labels)
        if not path.is_file():
            raise ModelNotFoundError(f"model.labels names {spec.labels}, but there is no such file")
    elif files.card and files.card.labels:
        path = files.local(files.card.labels)
    else:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelLoadError(f"The labels in {path} are no UTF-8 text: {error}") from error
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def builtin_models() -> list[str]:
    """Return the names of the models that ship with the package, as ``builtin:NAME`` takes them."""
    return sorted(path.parent.name.replace("_", "-") for path in BUILTIN_MODELS.glob(f"*/{CARD_FILE}"))


def file_sha256(file: Path) -> str:
    """Return the hex digest of a file's content.

    This process reads a file once: what tells that it was changed or replaced since is device, inode, size
    and the times of its last changes, of which the second cannot be set back.
    """
    with file.open("rb") as stream:
        identity = _identity(stream.fileno())
        digest = _digests.get(identity)
        if digest is None:
            began = time.time_ns()
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            settled = began - max(identity[-2:]) > _SETTLED_NS
            if settled and _identity(stream.fileno()) == identity:
                _digests[identity] = digest
    return digest


def _identity(descriptor: int) -> tuple[int, ...]:
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _locate(spec: ModelSpec, resolver: FileSystemResolver) -> tuple[Folder, str | None]:
    """Return the folder that *spec* points into, and the file's name where it names one."""
    if spec.uri.startswith(BUILTIN_SCHEME):
        name = spec.uri.removeprefix(BUILTIN_SCHEME)
        if name not in builtin_models():
            raise ModelNotFoundError(
                f"There is no builtin model {name!r}; there is: {', '.join(builtin_models())}"
            )
        return Folder.open(str(BUILTIN_MODELS / name.replace("-", "_"))), None
    uri = spec.uri.rstrip("/")
    file = uri.rpartition("/")[2] if uri.endswith(_ENDINGS) else None
    if file:
        uri = uri.removesuffix(file).rstrip("/") or "."
    folder = Folder.open(
        uri, connection=spec.connection, storage_options=spec.storage_options, resolver=resolver
    )
    return folder, file


def _card(folder: Folder) -> ModelCard | None:
    if not folder.exists(CARD_FILE):
        return None
    return parse_card(folder.read(CARD_FILE), folder.uri_of(CARD_FILE))


def _local_copy(folder: Folder, name: str, uri: str) -> Path:
    local = folder.local_path(name)
    if local is not None:
        if not local.is_file():
            raise ModelNotFoundError(f"The model {uri} has no file {local}. Correct model.uri")
        return local
    version = folder.version(name)
    if version is None:
        raise ModelNotFoundError(f"The model {uri} has no file {folder.uri_of(name)}. Correct model.uri")
    key = hashlib.sha256(f"{folder.uri_of(name)}\0{version}".encode()).hexdigest()[:16]
    copy = cache_dir() / "models" / key / name
    if not version or not copy.is_file():
        folder.download(name, copy)
    return copy


def cache_dir() -> Path:
    """Return the folder of what can be made again: ``AIOPT_CACHE_DIR``, else the user's cache."""
    base = os.environ.get("AIOPT_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "aiopt" if base else Path.home() / ".cache" / "aiopt"
