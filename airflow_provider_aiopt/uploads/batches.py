"""Runs that the direct route is about to create, kept so that whoever comes after a crash creates them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_aiopt.data.exclusive import create_exclusively
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.uploads import Upload, run_id_for
from airflow_provider_aiopt.exceptions import UploadRecordError
from airflow_provider_aiopt.uploads.claims import consumer_folder

log = logging.getLogger(__name__)

_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Batch:
    """Uploads that become one run.

    :param run_id: the run's id, made of the uploads: Airflow refuses to create it twice
    :param uploads: the uploads
    """

    run_id: str
    uploads: tuple[Upload, ...]


class BatchStore:
    """The pending batches of one watch and one DAG.

    A batch is begun first, then its uploads are claimed for its run id, then the run is created, then the
    batch is finished.  Whatever of this is done twice changes nothing: the claims are the same run's, and
    Airflow answers that the run is there.

    :param folder: the watch's folder, ``UploadState.folder``
    :param dag_id: the DAG
    """

    def __init__(self, folder: Folder, dag_id: str) -> None:
        self._dag_id = dag_id
        self._refused: set[str] = set()
        self._folder = folder.child("batches").child(consumer_folder(dag_id))

    def begin(self, uploads: Sequence[Upload]) -> Batch | None:
        """Keep that a run is to be created for *uploads*.

        :param uploads: one or more
        :returns: None where it is kept already: another instance is at it, or it is left from a crash
        """
        batch = Batch(run_id_for(uploads), tuple(uploads))
        values = {
            "dag_id": self._dag_id,
            "run_id": batch.run_id,
            "uploads": [upload.to_dict() for upload in batch.uploads],
        }
        content = json.dumps(values).encode("ascii")
        return batch if create_exclusively(self._folder, f"{batch.run_id}{_SUFFIX}", content) else None

    def finish(self, batch: Batch) -> None:
        """Forget a batch whose run was created, or none of whose uploads was left to claim."""
        self._folder.remove(f"{batch.run_id}{_SUFFIX}")

    def pending(self) -> list[Batch]:
        """Return the batches that were begun and not finished; a file that is none is logged and left."""
        found = []
        for name in self._folder.names():
            content = self._folder.find(name) if name.endswith(_SUFFIX) else None
            if content is None:  # another instance finished it just now
                continue
            try:
                found.append(_batch(content, self._folder.uri_of(name)))
            except UploadRecordError as error:
                self._say(name, str(error))
        return found

    def _say(self, name: str, message: str) -> None:
        """Say once of each file what is wrong with it, however often it is found."""
        if name not in self._refused:
            self._refused.add(name)
            log.warning("%s", message)


def _batch(content: bytes, origin: str) -> Batch:
    try:
        values = json.loads(content)
        return Batch(str(values["run_id"]), tuple(map(Upload.from_dict, values["uploads"])))
    except (KeyError, TypeError, ValueError) as error:
        raise UploadRecordError(
            f"{origin} is no batch of this version: {error}. Remove it; its uploads are offered again"
        ) from error
