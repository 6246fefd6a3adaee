"""The search itself, by Optuna, kept in a journal file from which it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import MissingExtraError, TuningError
from airflow_provider_aiopt.tuning.models import Configuration, Limits, Objective, Origin, Trial
from airflow_provider_aiopt.tuning.space import SearchSpace

_NAME = "tune"
_FINGERPRINT = "aiopt.fingerprint"
_RECORD = "aiopt.record"
_ORIGIN = "aiopt.origin"

_RANDOM_FIRST = 6
"""Trials before the sampler begins to draw conclusions, guesses included."""
_PRUNE_AFTER = 4
"""Trials that are measured to their end before others are compared with them."""
_KEPT_PERCENT = 33.0
"""A trial goes on while it is among this part of those before it, at the same window."""


@dataclass(frozen=True)
class Proposal:
    """A configuration that the study wants to have tried.

    :param configuration: values by dotted key
    :param origin: where it comes from
    :param handle: Optuna's own trial
    """

    configuration: dict[str, Any]
    origin: Origin
    handle: Any


def fingerprint(values: Mapping[str, Any]) -> str:
    """Return what tells two studies apart.

    :param values: all that trials depend on: the spec, the sample, the space, the machine
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


class Study:
    """What was tried, and what to try next.

    :param space: what is searched
    :param objective: what is made better
    :param path: the journal file
    :param key: from :func:`fingerprint`
    :param seed: of the sampler
    :param resume: whether to go on with a journal that is there
    :raises MissingExtraError: if Optuna is not installed
    :raises TuningError: if there is a journal and *resume* is off, or if it is another pipeline's
    """

    def __init__(
        self, space: SearchSpace, objective: Objective, path: Path, *, key: str, seed: int, resume: bool
    ) -> None:
        optuna = _optuna()
        there = path.exists()
        if there and not resume:
            raise TuningError(
                f"There is a study in {path} already. Go on with it by --resume {path}, or remove it"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        self._optuna = optuna
        self._space = space
        self._objective = objective
        self._study = self._open(path)
        if there and not self.trials:  # ended before the baseline was known: nothing to go on from
            path.unlink()
            self._study = self._open(path)
        self._check(key, path)
        done = len(self._study.get_trials(deepcopy=False))
        # Another seed than the first time, or it would draw the same again.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed + done, multivariate=True, n_startup_trials=_RANDOM_FIRST
        )
        self._study.pruner = optuna.pruners.PercentilePruner(
            _KEPT_PERCENT, n_startup_trials=_PRUNE_AFTER, n_warmup_steps=1
        )
        self._distributions = {
            item.key: optuna.distributions.IntDistribution(0, len(item.values) - 1)
            if item.ordered
            else optuna.distributions.CategoricalDistribution(list(range(len(item.values))))
            for item in space.dimensions
        }
        self._try_unfinished_again()

    def _open(self, path: Path) -> Any:
        storages = self._optuna.storages
        return self._optuna.create_study(
            storage=storages.JournalStorage(storages.journal.JournalFileBackend(str(path))),
            study_name=_NAME,
            direction="maximize" if self._objective == "throughput" else "minimize",
            load_if_exists=True,
        )

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All that were tried, in order."""
        found = (trial.user_attrs.get(_RECORD) for trial in self._study.get_trials(deepcopy=False))
        return tuple(
            sorted((Trial.model_validate(item) for item in found if item), key=lambda trial: trial.number)
        )

    def suggest(self, configuration: Configuration, origin: Origin) -> None:
        """Have a configuration tried, after those that were suggested before it.

        :param configuration: values by dotted key
        :param origin: where it comes from
        """
        self._study.enqueue_trial(self._space.indices(configuration), user_attrs={_ORIGIN: origin})

    def ask(self) -> Proposal:
        """Return what to try next."""
        handle = self._study.ask(self._distributions)
        origin: Origin = handle.user_attrs.get(_ORIGIN, "search")
        return Proposal(self._space.at(handle.params), origin, handle)

    def watcher(self, proposal: Proposal) -> Callable[[int, float], bool]:
        """Return what tells whether to give a trial up, by what it has come to at a window.

        :param proposal: the trial; the baseline is never given up, for all are compared with it
        """
        if proposal.origin == "baseline":
            return lambda *_: False

        def should_prune(window: int, value: float) -> bool:
            proposal.handle.report(value, window)
            return bool(proposal.handle.should_prune())

        return should_prune

    def skip(self, proposal: Proposal) -> None:
        """Note that a configuration was not tried: it says nothing of it to the sampler.

        :param proposal: from :meth:`ask`
        """
        self._study.tell(proposal.handle, state=self._optuna.trial.TrialState.FAIL)

    def tell(self, proposal: Proposal, trial: Trial, limits: Limits, *, again: bool = False) -> None:
        """Note what came of a configuration.

        :param proposal: from :meth:`ask`
        :param trial: what came of it
        :param limits: what may not be exceeded
        :param again: whether it is an earlier trial's that has the same configuration
        """
        state = self._optuna.trial.TrialState
        if not again:
            proposal.handle.set_user_attr(_RECORD, trial.model_dump(mode="json"))
        for name, excess in limits.excess(trial.p95_s, trial.peak_memory_bytes).items():
            proposal.handle.set_constraint(name, excess)
        value = trial.value(self._objective)
        if trial.outcome in ("complete", "infeasible") and value is not None:
            self._study.tell(proposal.handle, value)
        else:  # the sampler takes what was pruned for bad, and leaves out what failed
            failed = trial.outcome == "failed"
            self._study.tell(proposal.handle, state=state.FAIL if failed else state.PRUNED)

    def _check(self, key: str, path: Path) -> None:
        known = self._study.user_attrs.get(_FINGERPRINT)
        if known is None:
            self._study.set_user_attr(_FINGERPRINT, key)
        elif known != key:
            raise TuningError(
                f"The study in {path} is of another spec, sample, search or machine, so its trials say "
                "nothing of this one. Begin anew, without --resume"
            )

    def _try_unfinished_again(self) -> None:
        """Put the trial that was under way when the tuner was ended before what is still to come."""
        state = self._optuna.trial.TrialState
        for trial in self._study.get_trials(deepcopy=False, states=(state.RUNNING,)):
            self._study.tell(trial.number, state=state.FAIL)
            if trial.params.keys() == self._distributions.keys():
                origin = trial.user_attrs.get(_ORIGIN, "search")
                self._study.enqueue_trial(trial.params, user_attrs={_ORIGIN: origin})


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "tune", "Tuning a pipeline") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the tuner says itself what happens
    return optuna
