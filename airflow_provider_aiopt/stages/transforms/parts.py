"""Preparing a batch in one call or a few, and record by record only where such a call fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_aiopt.exceptions import AioptError, DecodeError, RecordError

if TYPE_CHECKING:
    import pyarrow as pa

    Prepared = tuple[dict[str, pa.Array], dict[int, RecordError]]
    Prepare = Callable[[Sequence[bytes]], Prepared]


def prepare_in_parts(
    prepare: Prepare,
    payloads: Sequence[bytes],
    executor: Executor,
    *,
    parts: int = 1,
    check: Callable[[Mapping[str, pa.Array]], None] = lambda _: None,
) -> Prepared:
    """Prepare payloads in the executor, many to a call.

    A call that raises, takes too long or crashes says nothing of single records: its records are then
    prepared one by one, and those that fail alone are bad.

    :param prepare: turns payloads into columns with a row for each good one, and errors by position; pickled
        where the executor's are processes
    :param payloads: the records' bytes
    :param executor: answers a call that it gave up with a
        :class:`~airflow_provider_aiopt.exceptions.RecordError`
    :param parts: calls that the batch is cut into
    :param check: called with the columns of each call that has any, before they are joined
    :returns: the same for the whole batch; no columns at all where no record is good
    :raises AioptError: what is no single record's fault
    """
    attempt = _Attempt(prepare)
    size = math.ceil(len(payloads) / parts) or 1
    starts = range(0, len(payloads), size)
    cuts = [payloads[start : start + size] for start in starts]
    columns: list[dict[str, pa.Array]] = []
    errors: dict[int, RecordError] = {}

    def keep(start: int, outcome: Prepared | RecordError) -> None:
        if isinstance(outcome, RecordError):
            errors[start] = outcome
            return
        if outcome[0]:
            check(outcome[0])
            columns.append(outcome[0])
        errors.update((start + position, error) for position, error in outcome[1].items())

    for start, cut, outcome in zip(starts, cuts, executor.map(attempt, cuts), strict=True):
        if isinstance(outcome, RecordError) and len(cut) > 1:
            alone = executor.map(attempt, [[payload] for payload in cut])
            for position, single in enumerate(alone, start):
                keep(position, single)
        else:
            keep(start, outcome)
    return _joined(columns), errors


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A call whose failure is its answer."""

    prepare: Prepare

    def __call__(self, payloads: Sequence[bytes]) -> Prepared | RecordError:
        try:
            return self.prepare(payloads)
        except RecordError as error:
            return error
        except (AioptError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a bug raises
            return DecodeError(f"The transform raised {type(error).__name__}: {error}")


def _joined(parts: Sequence[dict[str, pa.Array]]) -> dict[str, pa.Array]:
    import pyarrow as pa

    if len(parts) == 1 or not parts:
        return dict(*parts)
    return {name: pa.concat_arrays([part[name] for part in parts]) for name in parts[0]}
