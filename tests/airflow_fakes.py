"""What a task is given by Airflow, without an Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeTaskInstance:
    """A running task of the DAG run ``dag`` / ``run``, which keeps the XComs that are pushed."""

    task_id: str = "task"
    map_index: int | None = -1
    try_number: int = 1
    dag_id: str = "dag"
    run_id: str = "run"
    xcoms: dict[str, Any] = field(default_factory=dict)

    others: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    """What other tasks of the run have pushed, by task id and key, a value for each map index."""

    instances: int = 1
    """How many instances the task has been mapped to."""

    succeeded: int = 0
    """How many of them have succeeded."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: str | Sequence[str], key: str, map_indexes: int | None = None) -> Any:
        if map_indexes is not None:
            assert (task_ids, map_indexes) == (self.task_id, self.map_index)
            return self.xcoms.get(key)
        return [value for task_id in task_ids for value in self.others.get((task_id, key), [None])]

    def get_ti_count(
        self, dag_id: str, task_ids: list[str], run_ids: list[str], states: list[str] | None = None
    ) -> int:
        assert (dag_id, task_ids, run_ids) == (self.dag_id, [self.task_id], [self.run_id])
        return self.instances if states is None else self.succeeded


def task_context(
    instance: FakeTaskInstance | None = None, *, context: dict[str, Any] | None = None, **params: Any
) -> dict[str, Any]:
    return {"ti": instance or FakeTaskInstance(), "params": params, **(context or {})}


class MappedOutputs(Sequence[Any]):
    """The outputs of a mapped task as Airflow hands them on: each access is a request."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.requests = 0

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("one request for each output")

    def __getitem__(self, key: int | slice) -> Any:
        self.requests += 1
        return self.values[key]


@dataclass(frozen=True)
class FakeAssetEvent:
    """An event that a watcher's trigger made, as a task sees it."""

    extra: dict[str, Any]

    @classmethod
    def carrying(cls, payload: Any) -> FakeAssetEvent:
        return cls({"from_trigger": True, "payload": payload})


@dataclass(frozen=True)
class FakeDagRun:
    """A run with its configuration."""

    conf: dict[str, Any]
