"""What is asked of a search, and who is told how it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_aiopt.tuning.models import Trial
from airflow_provider_aiopt.tuning.space import Sample, SearchSpace


@dataclass(frozen=True)
class Options:
    """How long and among what to search.

    :param budget_s: seconds for all of it, measuring again included; None for no limit
    :param most_trials: trials at most; None for no limit
    :param records: records of the sample at most
    :param models: further model files or folders
    :param only: values by key, in the place of what would be searched
    :param guess: whether to begin with what is known to be good
    :param finalists: how many are measured again
    :param patience: trials without a gain after which the search ends
    :param not_first: trials before one may take more threads than there are cores
    :param seed: of the sampler
    """

    budget_s: float | None = 300.0
    most_trials: int | None = None
    records: int = 4096
    models: tuple[str, ...] = ()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    guess: bool = True
    finalists: int = 2
    patience: int = 20
    not_first: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Watch:
    """Is told how a search goes on.

    :param space: what is searched, and on how many records
    :param trial: a trial that has ended, and the best so far
    :param round: a round of measuring again, from 1, and how many there are
    """

    space: Callable[[SearchSpace, Sample], None] = lambda *_: None
    trial: Callable[[Trial, Trial | None], None] = lambda *_: None
    round: Callable[[int, int], None] = lambda *_: None
