from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_aiopt.data.python_source import PythonSource
from airflow_provider_aiopt.data.records import BadRecord, Record
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.exceptions import RecordTooLargeError, SourceError, SpecError
from airflow_provider_aiopt.spec import SourceSpec

TEXTS = [f"text {number}" for number in range(7)]


class MapStyle:
    """As torch.utils.data.Dataset; an item that is an exception is raised."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        item = self.items[index]
        if isinstance(item, list):
            item = item.pop(0) if len(item) > 1 else item[0]
        if isinstance(item, Exception):
            raise item
        return item


class IterableDataset(MapStyle):
    """As torch.utils.data.IterableDataset: it inherits an access by number that it does not have."""

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        return 1000  # an estimate, as torch allows


class TfStyle:
    """As tf.data.Dataset."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("tensors on the device are not asked for")

    def as_numpy_iterator(self) -> Iterator[Any]:
        return iter([text.encode() for text in TEXTS])


STYLES: dict[str, Callable[[], Any]] = {
    "list": lambda: TEXTS,
    "map-style": lambda: MapStyle(TEXTS),
    "iterable": lambda: IterableDataset(TEXTS),
    "iterator": lambda: iter(TEXTS),
    "tf.data": TfStyle,
}


def source(make: Callable[..., Any], **settings: Any) -> PythonSource:
    spec = SourceSpec(uri="python:pkg.texts", format="python", **settings)
    return PythonSource(spec, make, calls=RemoteCalls(spec, sleep=lambda _: None))


def read(
    found: PythonSource, pool: ThreadPoolExecutor, start: int = 0, stop: int | None = None
) -> list[Record | BadRecord]:
    return list(found.read(start, found.count() if stop is None else stop, pool, ahead=3))


@pytest.mark.parametrize("make", STYLES.values(), ids=STYLES)
class TestAnyStyle:
    def test_records_come_in_order_with_stable_names(
        self, make: Callable[[], Any], executor: ThreadPoolExecutor
    ) -> None:
        found = source(make)
        records = read(found, executor)

        assert found.count() == len(TEXTS)
        assert records[2] == Record.from_payload("texts#2", "python:pkg.texts#item=2", b"text 2")
        assert [record.payload.decode() for record in records if isinstance(record, Record)] == TEXTS
        assert read(found, executor) == records

    @pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 3), (2, 5), (6, 7), (7, 7)])
    def test_ranges(
        self, make: Callable[[], Any], executor: ThreadPoolExecutor, start: int, stop: int
    ) -> None:
        found = source(make)

        assert read(found, executor, start, stop) == read(found, executor)[start:stop]


def test_successive_ranges_of_an_iterable_take_one_pass(executor: ThreadPoolExecutor) -> None:
    made: list[int] = []

    def make() -> Iterator[str]:
        made.append(1)
        return iter(TEXTS)

    found = source(make)
    found.count()
    ids = [record.id for start in (0, 2, 4) for record in read(found, executor, start, start + 2)]

    assert ids == [f"texts#{number}" for number in range(6)]
    assert len(made) == 2, "one to count, one to read"


def test_arguments_reach_the_callable(executor: ThreadPoolExecutor) -> None:
    found = source(lambda first, count: TEXTS[first:][:count], arguments={"first": 1, "count": 2})

    assert [record.payload for record in read(found, executor) if isinstance(record, Record)] == [
        b"text 1",
        b"text 2",
    ]


def test_a_column_may_name_the_records(executor: ThreadPoolExecutor) -> None:
    rows = [{"key": "a", "text": "x"}, {"text": "y"}, ("b", "z")]
    found = source(lambda: rows[:2], columns=("text",), id_column="key")
    assert [record.id for record in read(found, executor)] == ["a", "texts#1"]

    found = source(lambda: rows[2:], columns=("1",), id_column="0")
    assert [record.id for record in read(found, executor)] == ["b"]


def test_an_item_that_cannot_be_had_is_its_own_fault(executor: ThreadPoolExecutor) -> None:
    items = ["x", ValueError("broken file"), RecordTooLargeError("by far"), FileNotFoundError("gone"), "y"]
    records = read(source(lambda: MapStyle(items)), executor)

    assert [
        (record.id, record.error_class, record.message) for record in records if isinstance(record, BadRecord)
    ] == [
        ("texts#1", "RecordReadError", "The data set raised ValueError: broken file"),
        ("texts#2", "RecordTooLargeError", "by far"),
        ("texts#3", "RecordReadError", "The data set raised FileNotFoundError: gone"),
    ]


def test_an_item_that_a_connection_failed_for_is_asked_for_again(executor: ThreadPoolExecutor) -> None:
    found = source(lambda: MapStyle([[TimeoutError(), ConnectionResetError(), "x"]]))
    (record,) = read(found, executor)

    assert isinstance(record, Record)
    assert found.retries == 2


def test_a_connection_that_stays_away_ends_the_run(executor: ThreadPoolExecutor) -> None:
    found = source(lambda: MapStyle(["x", ConnectionError("no route")]))
    with pytest.raises(
        SourceError,
        match=r"Cannot read item 1 of python:pkg.texts: ConnectionError: no route, at the last of 4 attempts",
    ):
        read(found, executor)


def test_an_iterable_that_raises_ends_the_run(executor: ThreadPoolExecutor) -> None:
    found = source(lambda: IterableDataset(["x", "y", ValueError("broken")]))
    with pytest.raises(SourceError, match=r"raised ValueError: broken after 2 items\. Let it skip"):
        read(found, executor)


def test_an_iterable_that_gives_less_than_before_is_not_believed(executor: ThreadPoolExecutor) -> None:
    lengths = iter([7, 5])
    found = source(lambda: iter(TEXTS[: next(lengths)]))
    with pytest.raises(SourceError, match="ended after 5 of the 7 records that it was counted to"):
        read(found, executor)


@pytest.mark.parametrize("value", [None, 7, "text", b"bytes", {"a": 1}])
def test_what_is_no_data_set(value: Any) -> None:
    with pytest.raises(SpecError, match=f"returned a value of type {type(value).__name__}; it must return"):
        source(lambda: value)


def test_a_callable_that_raises() -> None:
    def make() -> None:
        raise RuntimeError("no data today")

    with pytest.raises(SourceError, match=r"python:pkg\.texts raised RuntimeError: no data today"):
        source(make)


def test_the_data_set_s_own_code_runs_on_the_reading_thread(executor: ThreadPoolExecutor) -> None:
    threads: set[int] = set()

    class Watching(MapStyle):
        def __getitem__(self, index: int) -> Any:
            threads.add(threading.get_ident())
            return super().__getitem__(index)

    read(source(lambda: Watching(TEXTS)), executor)

    assert threads == {threading.get_ident()}


def test_a_fingerprint_tells_arguments_counts_and_ranges_apart() -> None:
    def digest(count: int, start: int, stop: int, **arguments: Any) -> str:
        return source(lambda **_: TEXTS[:count], arguments=arguments).fingerprint(start, stop)

    found = [digest(5, 0, 3), digest(6, 0, 3), digest(5, 0, 4), digest(5, 0, 3, version=2)]
    assert len(set(found)) == 4
    assert digest(5, 0, 3) == found[0]
