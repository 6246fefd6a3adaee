"""Data sets of Python as a source: whatever a callable returns that can be indexed or iterated."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from airflow_provider_aiopt.data.encoding import as_fields, encode_record
from airflow_provider_aiopt.data.parallel import map_ordered
from airflow_provider_aiopt.data.records import BadRecord, Record, printable
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.data.source import STAGE
from airflow_provider_aiopt.data.tally import TimeTally
from airflow_provider_aiopt.exceptions import AioptError, RecordError, RecordReadError, SourceError, SpecError
from airflow_provider_aiopt.spec.source import SourceSpec

_Item = tuple[int, Any]


class PythonSource:
    """The items of a data set, in its own order.

    A data set with a length and items by number (``torch.utils.data.Dataset``, Hugging Face ``datasets``, a
    list) is read at any place; an iterable (``IterableDataset``, ``tf.data``, a generator) from its
    beginning, and counted by being iterated once.  It must give the same items each time.  All its code runs
    on the thread that reads; only the encoding of what it gives runs side by side.

    :param spec: the source's spec
    :param make: returns the data set; called with ``source.arguments``
    :param calls: how often an item is asked for again that a connection failed for
    """

    def __init__(
        self, spec: SourceSpec, make: Callable[..., Any], *, calls: RemoteCalls | None = None
    ) -> None:
        self.spec = spec
        self._make = make
        self._calls = calls or RemoteCalls(spec)
        self._name = spec.uri.rpartition(".")[2]
        self._data = self._new()
        self._count: int | None = None
        self._items: Iterator[_Item] = iter(())
        self._next_item = -1

    @property
    def retries(self) -> int:
        """How many items were asked for again so far."""
        return self._calls.retries

    @property
    def reads(self) -> TimeTally:
        """Nothing: what a data set does to give an item is its own."""
        return TimeTally()

    def count(self) -> int:
        """Return how many records there are; an iterable is iterated once."""
        if self._count is None:
            indexed = _is_indexed(self._data)
            self._count = len(self._data) if indexed else sum(1 for _ in self._iterated(0))
        return self._count

    def sizes(self) -> Sequence[int]:
        """Return nothing: a data set lists no sizes."""
        return ()

    def read(self, start: int, stop: int, executor: Executor, *, ahead: int) -> Iterator[Record | BadRecord]:
        """Yield records *start* to *stop* in order.

        :param executor: threads that encode records side by side
        :param ahead: how many records may be under way in them
        :raises SourceError: if the data set fails as a whole, or has fewer records than were counted
        """
        if _is_indexed(self._data):
            items: Iterator[_Item] = ((index, self._item(index)) for index in range(start, stop))
        else:
            items = self._continued(start, stop)
        yield from map_ordered(self._record, items, executor, ahead=ahead)

    def fingerprint(self, start: int, stop: int) -> str:
        """Return a digest of the callable's name and arguments, the number of records, and the range."""
        text = f"{self.spec.identity()}\0{self.count()}\0{start}\0{stop}"
        return hashlib.sha256(text.encode()).hexdigest()

    def close(self) -> None:
        """End the iteration that the last read ended in."""
        items, self._items, self._next_item = self._items, iter(()), -1
        if isinstance(items, Generator):
            items.close()

    def _new(self) -> Any:
        """Call the callable.

        :raises SourceError: if it raises
        :raises SpecError: if what it returns is no data set
        """
        try:
            data = self._make(**self.spec.arguments)
        except AioptError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise SourceError(f"{self.spec.uri} raised {_described(error)}") from error
        single = isinstance(data, Mapping | str | bytes | bytearray)
        if single or not (_is_indexed(data) or isinstance(data, Iterable)):
            raise SpecError(
                f"source.uri: {self.spec.uri} returned a value of type {type(data).__name__}; it must return "
                "a data set: something with a length and items by number, or an iterable of records"
            )
        return data

    def _item(self, index: int) -> Any:
        """Return one item, or the error that stands in its place."""

        def get() -> Any:
            try:
                return self._data[index]
            except (AioptError, ConnectionError, MemoryError, TimeoutError):
                raise
            except Exception as error:  # whatever the user's code raises is about this item
                raise RecordReadError(f"The data set raised {_described(error)}") from error

        try:
            return self._calls.again(get)
        except RecordError as error:
            return error
        except (ConnectionError, TimeoutError) as error:
            effort = self._calls.effort(error)
            raise SourceError(
                f"Cannot read item {index} of {self.spec.uri}: {_described(error)}{effort}. The storage is "
                "at fault, not the record: a retry goes on after the last finished shard"
            ) from error

    def _continued(self, start: int, stop: int) -> Iterator[_Item]:
        """Yield items of an iterable, going on where the range before ended if this one begins there."""
        if self._next_item != start:
            self._items, self._next_item = self._iterated(start), start
        for item in itertools.islice(self._items, stop - start):
            self._next_item += 1
            yield item
        if self._next_item != stop:
            raise SourceError(
                f"{self.spec.uri} ended after {self._next_item} of the {self.count()} records that it was "
                "counted to. An iterable must give the same records each time that it is iterated"
            )

    def _iterated(self, start: int) -> Iterator[_Item]:
        """Yield the items of an iterable from number *start* on.

        :raises SourceError: if it raises: there is no going on behind the item that it raised for
        """
        data = self._new() if self._data is None else self._data
        if isinstance(data, Iterator):
            self._data = None  # it serves one pass only: the next one begins with another
        given = 0
        try:
            # TensorFlow's own arrays would be tensors on its device.
            items = data.as_numpy_iterator() if hasattr(data, "as_numpy_iterator") else iter(data)
            for item in items:
                given += 1
                if given > start:
                    yield given - 1, item
        except AioptError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise SourceError(
                f"{self.spec.uri} raised {_described(error)} after {given} items. Let it skip or replace "
                "such items, or return a data set with items by number, whose faulty ones are quarantined"
            ) from error

    def _record(self, item: _Item) -> Record | BadRecord:
        index, value = item
        record_id, uri = f"{self._name}#{index}", f"{self.spec.uri}#item={index}"
        try:
            if isinstance(value, RecordError):
                raise value
            if self.spec.id_column and (key := (as_fields(value) or {}).get(self.spec.id_column)) is not None:
                record_id = printable(str(key))
            return Record.from_payload(record_id, uri, encode_record(value, self.spec))
        except RecordError as error:
            return BadRecord.from_error(record_id, uri, STAGE, error)


def _is_indexed(data: Any) -> bool:
    """Whether items can be had by number; torch's iterable data sets only look as if they could."""
    if any(base.__name__ == "IterableDataset" for base in type(data).__mro__):
        return False
    return hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
