"""Transforms of the deployment's own, named by dotted path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_aiopt.data.callables import load_callable
from airflow_provider_aiopt.data.tensors import IDENTITY_COLUMNS
from airflow_provider_aiopt.exceptions import AioptError, RecordError, TransformError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.spec.preprocess import CustomPreprocessSpec
from airflow_provider_aiopt.stages.transforms.contract import as_feeds, as_numpy, as_prepared
from airflow_provider_aiopt.stages.transforms.narrowing import narrowed
from airflow_provider_aiopt.stages.transforms.parts import prepare_in_parts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]


class BatchTransform(Protocol):
    """What the callable that ``preprocess.transform`` names returns.

    One is made in each process that prepares records or feeds the model.  Several threads call its methods at
    once; with ``processes: true`` only :meth:`feeds`.

    :ivar version: names the code; change it whenever the results for the same payload change, since results
        of an earlier attempt and prepared records in a cache are taken up again only where it is the same
    """

    version: str

    def prepare(
        self, payloads: Sequence[bytes]
    ) -> tuple[Mapping[str, Array | pa.Array | Sequence[Any]], Mapping[int, RecordError | Exception | str]]:
        """Turn a batch of payloads into columns.

        :param payloads: at least one record's bytes: a file's content, a text in UTF-8, or a JSON array of a
            row's columns
        :returns: columns by name, each with one entry for each good payload in order: numpy arrays whose
            first axis is the record, or Arrow arrays or lists where entries differ in length; and what is
            wrong with the other payloads, by position.  Where it raises instead, the records are tried one by
            one
        """
        ...

    def feeds(
        self, columns: Mapping[str, Array | pa.Array], inputs: Sequence[TensorInfo]
    ) -> Mapping[str, Array]:
        """Turn columns into the model's input tensors, the first axis being the batch.

        :param columns: what :meth:`prepare` made, perhaps joined or cut anew: numbers as numpy arrays, which
            are read-only, anything else as Arrow arrays
        :param inputs: the model's inputs: name, type and shape
        """
        ...


@dataclass(frozen=True, slots=True)
class TransformSource:
    """Where a transform comes from; unlike the transform itself it can be sent to another process.

    :param path: dotted path of the callable
    :param arguments: its keyword arguments as a JSON object
    :param allowed: prefixes of the dotted paths that may be named
    :param store_as: element type that wider columns of numbers are kept as; None: as they come
    """

    path: str
    arguments: str
    allowed: tuple[str, ...]
    store_as: str | None = None

    @classmethod
    def from_spec(cls, spec: CustomPreprocessSpec, allowed: Sequence[str]) -> TransformSource:
        """Take it from a spec, where *allowed* lists the prefixes that the deployment allows."""
        arguments = json.dumps(spec.arguments, sort_keys=True)
        return cls(spec.transform, arguments, tuple(allowed), spec.store_as)

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"preprocess.transform: {self.path!r}"

    def load(self) -> BatchTransform:
        """Return the transform, made once for the life of the process.

        :raises SpecError: if it is not allowed or cannot be imported
        :raises TransformError: if it cannot be made, or is none
        """
        return _made(self)

    def warm(self) -> None:
        """Import and make the transform, for a process that is about to use it."""
        import pyarrow as pa

        pa.array([""])  # the first array of Python objects imports pandas, wherever that is installed
        self.load()

    def prepare(self, payloads: Sequence[bytes]) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        """Have the transform prepare *payloads* and check what it returns."""
        columns, errors = as_prepared(self.load().prepare(payloads), len(payloads), self.label)
        if self.store_as is not None:
            columns = {name: narrowed(name, column, self.store_as) for name, column in columns.items()}
        return columns, errors


@cache
def _made(source: TransformSource) -> BatchTransform:
    factory = load_callable(source.path, source.allowed, where=source.label)
    try:
        made = factory(**json.loads(source.arguments))
    except (AioptError, MemoryError):
        raise
    except Exception as error:  # whatever the user's code raises
        raise TransformError(f"{source.label} raised {type(error).__name__}: {error}") from error
    missing = [name for name in ("prepare", "feeds") if not callable(getattr(made, name, None))]
    if missing:
        raise TransformError(
            f"{source.label} returned a value of type {type(made).__name__} without the method "
            f"{' and '.join(missing)}; docs/preprocessing.md shows what a transform has"
        )
    version = getattr(made, "version", None)
    if not isinstance(version, str) or not version:
        raise TransformError(
            f"{source.label} needs the attribute version, a text that is not empty; found {version!r}. It "
            "tells earlier results and cached records of other code apart: change it with the code"
        )
    transform: BatchTransform = made
    return transform


class CustomTransform:
    """Makes a deployment's own transform one of the package's.

    :param source: where it comes from
    :param parts: calls that a batch is cut into, to be worked on side by side
    :raises SpecError: if it is not allowed or cannot be imported
    :raises TransformError: if it cannot be made, or is none
    """

    def __init__(self, source: TransformSource, *, parts: int = 1) -> None:
        self._source = source
        self._parts = parts
        self._transform = source.load()
        self._types: dict[str, pa.DataType] = {}

    @property
    def made(self) -> BatchTransform:
        """The deployment's own transform."""
        return self._transform

    @property
    def version(self) -> str:
        """See :attr:`Transform.version`."""
        return f"custom 1, {self._transform.version}"

    def prepare(
        self, payloads: Sequence[bytes], executor: Executor
    ) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        """Prepare the batch in a few calls; see :meth:`Transform.prepare`.

        :raises TransformError: if the transform does not keep to its protocol
        """
        return prepare_in_parts(
            self._source.prepare, payloads, executor, parts=self._parts, check=self._check_types
        )

    def feeds(self, batch: pa.RecordBatch, inputs: Sequence[TensorInfo]) -> Mapping[str, Array]:
        """Have the transform build the tensors.

        :raises TransformError: if it raises, or returns anything but tensors of the batch
        """
        columns = {
            name: as_numpy(batch.column(name)) for name in batch.schema.names if name not in IDENTITY_COLUMNS
        }
        try:
            answer = self._transform.feeds(columns, inputs)
        except (AioptError, MemoryError):
            raise
        except Exception as error:  # whatever the user's code raises
            raise TransformError(
                f"{self._source.label} raised {type(error).__name__} in feeds, over a batch of "
                f"{batch.num_rows}: {error}"
            ) from error
        return as_feeds(answer, batch.num_rows, self._source.label)

    def _check_types(self, columns: Mapping[str, pa.Array]) -> None:
        """Hold all batches to the columns of the first, since one file has to take them."""
        types = {name: column.type for name, column in columns.items()}
        known = self._types or types
        if types != known:
            raise TransformError(
                f"{self._source.label} made the columns {_named(types)}, but {_named(known)} before. Each "
                "batch must have the same columns, types and shapes; entries of different lengths belong in "
                "an Arrow list array"
            )
        self._types = types


def _named(types: Mapping[str, pa.DataType]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in types.items())
