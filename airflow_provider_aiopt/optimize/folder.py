"""Writing model folders: whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_aiopt.data.folder import storage_errors
from airflow_provider_aiopt.exceptions import AioptError, StorageError
from airflow_provider_aiopt.optimize.readme import readme_text
from airflow_provider_aiopt.spec.card import CARD_FILE, ModelCard

MODEL_FILE = "model.onnx"
LABELS_FILE = "labels.txt"
README_FILE = "README.md"


@contextmanager
def new_model_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes *output* when the block ends without an error.

    A model folder that is there already is replaced; anything else is left alone and refused.

    :param output: where the model folder shall be
    :raises StorageError: if *output* is something else than a model folder, or cannot be written
    """
    _check_replaceable(output)
    with storage_errors("write", str(output)):
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".tmp", dir=output.parent))
    try:
        yield staging
        with storage_errors("write", str(output)):
            _publish(staging, output)
    except OSError as error:
        if isinstance(error, AioptError):
            raise
        with storage_errors("write", str(output)):
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card, and the README that says the same to people.

    :param folder: a folder that has the model file already
    :param card: its card
    """
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    licences = sorted(path.name for path in folder.glob("LICENSE*"))
    (folder / README_FILE).write_text(readme_text(card, licences), encoding="utf-8")


def file_sha256(file: Path) -> str:
    """Return the hex digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_replaceable(output: Path) -> None:
    if output.is_dir() and (not any(output.iterdir()) or (output / CARD_FILE).is_file()):
        return
    if output.exists() or output.is_symlink():
        raise StorageError(
            f"{output} exists and is no model folder: it has no {CARD_FILE}. Choose another --output or "
            "remove it"
        )


def _publish(staging: Path, output: Path) -> None:
    # mkdtemp makes folders that only their owner may read; a model folder is like any other.
    umask = os.umask(0)
    os.umask(umask)
    staging.chmod(0o777 & ~umask)
    if not output.exists():
        staging.rename(output)
        return
    # A rename cannot replace a folder that has files: move the old one aside for the moment between.
    aside = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".old", dir=output.parent))
    try:
        output.rename(aside / output.name)
        try:
            staging.rename(output)
        except OSError:
            (aside / output.name).rename(output)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
