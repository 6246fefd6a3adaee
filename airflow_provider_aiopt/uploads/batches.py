"""Runs that the direct route is about to create, kept so that whoever comes after a crash creates them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.uploads import Upload, run_id_for
from airflow_provider_aiopt.exceptions import UploadRecordError
from airflow_provider_aiopt.uploads.claims import consumer_folder

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
        self._folder = folder.child("batches").child(consumer_folder(dag_id))

    def begin(self, uploads: Sequence[Upload]) -> Batch:
        """Keep that a run is to be created for *uploads*.

        :param uploads: one or more
        """
        batch = Batch(run_id_for(uploads), tuple(uploads))
        values = {
            "dag_id": self._dag_id,
            "run_id": batch.run_id,
            "uploads": [upload.to_dict() for upload in batch.uploads],
        }
        self._folder.write(f"{batch.run_id}{_SUFFIX}", json.dumps(values).encode("ascii"))
        return batch

    def finish(self, batch: Batch) -> None:
        """Forget a batch whose run was created, or none of whose uploads was left to claim."""
        self._folder.remove(f"{batch.run_id}{_SUFFIX}")

    def pending(self) -> list[Batch]:
        """Return the batches that were begun and not finished.

        :raises UploadRecordError: if a file is no batch
        """
        found = []
        for name in self._folder.names():
            content = self._folder.find(name) if name.endswith(_SUFFIX) else None
            if content is not None:  # else another instance finished it just now
                found.append(_batch(content, self._folder.uri_of(name)))
        return found


def _batch(content: bytes, origin: str) -> Batch:
    try:
        values = json.loads(content)
        return Batch(str(values["run_id"]), tuple(map(Upload.from_dict, values["uploads"])))
    except (KeyError, TypeError, ValueError) as error:
        raise UploadRecordError(
            f"{origin} is no batch of this version: {error}. Remove it; its uploads are offered again"
        ) from error
