"""Model folders and data that may lie in an object store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder
from airflow_provider_aiopt.exceptions import ModelNotFoundError, SourceError, SpecError
from airflow_provider_aiopt.optimize.folder import new_model_folder
from airflow_provider_aiopt.spec.card import CARD_FILE

_FILES = (".npz", ".txt")


@contextmanager
def local_model(uri: str, resolver: FileSystemResolver) -> Iterator[Path]:
    """Yield a model folder on this machine: the one at *uri*, or a copy of it for as long as the block runs.

    :param uri: its path or URL
    :param resolver: how to find the file system
    :raises SpecError: if there is no model folder
    :raises StorageError: if it cannot be read
    """
    folder = Folder.open(uri, resolver=resolver)
    local = folder.local_path(CARD_FILE)
    if local is not None:
        yield local.parent
        return
    if not folder.exists(CARD_FILE):
        raise SpecError(f"{uri} is no model folder: it has no {CARD_FILE}. Make one with: aiopt model export")
    with _copy(folder, folder.names(), _name_of(uri)) as copy:
        yield copy


@contextmanager
def local_data(uri: str, resolver: FileSystemResolver) -> Iterator[Path]:
    """Yield sample data on this machine: what lies at *uri*, or a copy of it for as long as the block runs.

    :param uri: path or URL of a folder of images, a ``.txt`` or an ``.npz`` file
    :param resolver: how to find the file system
    :raises SourceError: if there is nothing
    :raises StorageError: if it cannot be read
    """
    name = _name_of(uri)
    single = name.endswith(_FILES)
    parent = uri.rstrip("/").removesuffix(name).rstrip("/") if single else uri
    folder = Folder.open(parent or ("/" if uri.startswith("/") else "."), resolver=resolver)
    local = folder.local_path(name)
    if local is not None:
        yield local if single else local.parent
        return
    names = [name] if single else folder.names()
    if not names or (single and not folder.exists(name)):
        raise SourceError(f"There are no data at {uri}. Give a folder of images, a .txt or an .npz file")
    with _copy(folder, names, _name_of(parent)) as copy:
        yield copy / name if single else copy


@contextmanager
def published(uri: str, resolver: FileSystemResolver) -> Iterator[Path]:
    """Yield where to write a model folder that shall lie at *uri* when the block ends without an error.

    A folder on this machine appears whole.  In an object store the card comes last: who reads meanwhile finds
    either the old card, whose hash a new model file fails, or the new one, with all its files.

    :param uri: path or URL of the folder
    :param resolver: how to find the file system
    :raises StorageError: if it cannot be written
    """
    target = Folder.open(uri, resolver=resolver)
    local = target.local_path(CARD_FILE)
    if local is not None:
        yield local.parent
        return
    with tempfile.TemporaryDirectory(prefix="aiopt-") as scratch:
        folder = Path(scratch) / _name_of(uri)
        yield folder
        names = sorted(path.name for path in folder.iterdir() if path.name != CARD_FILE)
        for name in (*names, CARD_FILE):
            with target.create(name) as stream, (folder / name).open("rb") as source:
                shutil.copyfileobj(source, stream)


def copy_model(source: str, target: str, resolver: FileSystemResolver) -> None:
    """Copy a model folder to another place.

    :param source: its path or URL
    :param target: path or URL of the copy; a model folder that is there is replaced
    :param resolver: how to find the file systems
    :raises SpecError: if there is no model folder at *source*
    :raises StorageError: if one cannot be read or written
    """
    with local_model(source, resolver) as model, published(target, resolver) as output:
        if not (model / CARD_FILE).is_file():
            raise ModelNotFoundError(f"{source} is no model folder: it has no {CARD_FILE}")
        if output.exists() and output.samefile(model):
            return
        with new_model_folder(output) as folder:
            for path in model.iterdir():
                if path.is_file():
                    shutil.copyfile(path, folder / path.name)


@contextmanager
def _copy(folder: Folder, names: list[str], name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aiopt-") as scratch:
        copy = Path(scratch) / name  # the name is part of cards
        for item in names:
            folder.download(item, copy / item)
        yield copy


def _name_of(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]
