"""The tuner: tries configurations within a budget, then proves the best of them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.advisor.applying import spec_overrides
from airflow_provider_aiopt.advisor.diagnosis import diagnose
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder, resolve_filesystem
from airflow_provider_aiopt.exceptions import TuningError
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from airflow_provider_aiopt.tuning.airflow_settings import airflow_settings
from airflow_provider_aiopt.tuning.attempt import Attempt, Measuring
from airflow_provider_aiopt.tuning.child import Child, TrialFailedError
from airflow_provider_aiopt.tuning.confirming import Confirmation, agreement_of, confirm, disagreement
from airflow_provider_aiopt.tuning.deciding import (
    Confirming,
    best_trial,
    choose_winner,
    has_converged,
    pick_finalists,
    plan_confirming,
)
from airflow_provider_aiopt.tuning.models import Configuration, Ending, Outcome, Rounds, Trial, TuneReport
from airflow_provider_aiopt.tuning.options import Options, Watch
from airflow_provider_aiopt.tuning.space import (
    Machine,
    advised,
    answers_key,
    build_space,
    changes_answers,
    draw_configurations,
    guesses,
    is_measurable,
    is_oversubscribed,
    overrides,
)
from airflow_provider_aiopt.tuning.study import Proposal, Study, fingerprint
from airflow_provider_aiopt.tuning.works import Works

_GUESSES = 5
_SKIPS = 5
"""Proposals in a row that are known or not allowed, after which one is drawn of those that are neither."""


class Tuner:
    """Searches the configuration with which a pipeline is fastest on this machine.

    Each trial streams the pipeline in a process of its own.

    :param spec: the user's own pipeline, which is trial 0
    :param machine: what it runs on
    :param measuring: how trials are measured
    :param rounds: how the best are measured again
    :param options: how long and among what to search
    :param folder: a local folder for trials' runs
    :param resolver: how to find file systems
    :param allowed_callables: prefixes of the dotted paths that the spec may name
    :param watch: is told how it goes on
    """

    def __init__(
        self,
        spec: PipelineSpec,
        machine: Machine,
        measuring: Measuring,
        rounds: Rounds,
        options: Options,
        *,
        folder: Path,
        resolver: FileSystemResolver = resolve_filesystem,
        allowed_callables: tuple[str, ...] = (),
        watch: Watch | None = None,
    ) -> None:
        self._spec = spec
        self._machine = machine
        self._measuring = measuring
        self._rounds = rounds
        self._options = options
        self._folder = folder
        self._resolver = resolver
        self._allowed = allowed_callables
        self._watch = watch or Watch()
        self._began = measuring.now()
        self._oversubscribe = False
        self._before_s = 0.0  # of an earlier search that goes on
        self._answers: dict[str, tuple[Outcome, str] | None] = {}

    def run(self, journal: Path, *, resume: bool = False) -> TuneReport:
        """Search.

        Ctrl-C ends the search: what was found is kept in the journal and returned, not confirmed.

        :param journal: the file that keeps the trials
        :param resume: whether to go on with one that is there
        :returns: what was found
        :raises TuningError: if the pipeline does not run with its own settings
        :raises AioptError: one of its other subclasses, if the source cannot be listed
        """
        self._works = Works(
            self._spec,
            self._folder,
            records=self._options.records,
            resolver=self._resolver,
            allowed_callables=self._allowed,
        )
        self._spec, self._sample = self._works.spec, self._works.sample
        self._space = build_space(
            self._spec,
            self._machine,
            self._sample,
            models=self._options.models,
            only=self._options.only,
        )
        self._watch.space(self._space, self._sample)
        study = Study(
            self._space,
            self._measuring.objective,
            journal,
            key=self._fingerprint(),
            seed=self._options.seed,
            resume=resume,
        )
        if study.trials:
            self._before_s = study.trials[-1].ended_s
        else:
            self._begin(study)
        confirmation = Confirmation()
        try:
            ended = self._search(study)
            confirmation = self._confirm(study)
        except KeyboardInterrupt as error:
            if not study.trials or type(error) is not KeyboardInterrupt:  # SIGTERM wants no report
                raise
            ended = "interrupted"
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        return self._report(study, ended, confirmation)

    def _begin(self, study: Study) -> None:
        """Suggest the user's own settings, and then what is likely to be good."""
        study.suggest(self._space.baseline, "baseline")
        if not self._options.guess:
            return
        likely = [*self._advised(), *guesses(self._space, self._machine)[:_GUESSES]]
        for guess in {_key(item): item for item in likely}.values():
            if self._is_measurable(guess):
                study.suggest(guess, "guess")

    def _advised(self) -> list[dict[str, Any]]:
        """Return what the advisor recommends of a run over a few records with the user's own settings."""
        try:
            with Child(self._works.make(self._space.baseline), stall_s=self._measuring.stall_s) as child:
                workspace = child.answer(self._rounds.answers)
        except TrialFailedError:  # the baseline's own trial tells
            return []
        found = diagnose(load_run_report(Folder.open(workspace)))
        settings = (item for item in found.recommendations if item.kind == "setting")
        return advised(self._space, [spec_overrides(item.changes) for item in settings])

    def _search(self, study: Study) -> Ending:
        known = {_key(trial.configuration): trial for trial in study.trials}
        skipped = 0
        while True:
            if (ending := self._ending(study)) is not None:
                return ending
            if skipped >= _SKIPS or len(known) >= self._space.size:
                left = self._untried(known)
                if left is None:
                    return "exhausted"
                study.suggest(left, "search")
            proposal = study.ask()
            earlier = known.get(_key(proposal.configuration))
            if earlier is not None:
                study.tell(proposal, earlier, self._measuring.limits, again=True)
                skipped += 1
                continue
            if proposal.origin == "search" and not self._is_allowed(proposal.configuration, len(known)):
                study.skip(proposal)
                skipped += 1
                continue
            skipped = 0
            trial = self._try(study, proposal, number=len(known))
            known[_key(trial.configuration)] = trial
            study.tell(proposal, trial, self._measuring.limits)
            self._watch.trial(trial, best_trial(list(known.values()), self._measuring.objective))
            if trial.number == 0 and trial.outcome == "failed":
                raise TuningError(
                    f"The pipeline fails with its own settings: {trial.reason}. Make it run first, for "
                    "example with: aiopt run SPEC --mode streaming"
                )

    def _ending(self, study: Study) -> Ending | None:
        trials, options = study.trials, self._options
        if not trials:
            return None
        if options.most_trials is not None and len(trials) >= options.most_trials:
            return "trials"
        if has_converged(trials, self._measuring.objective, patience=options.patience):
            return "converged"
        if options.budget_s is None:
            return None
        reserve = self._confirming(trials[0]).seconds
        typical = max(trial.seconds for trial in trials[-3:])
        left = options.budget_s - (self._measuring.now() - self._began)
        return "budget" if left < reserve + typical else None

    def _untried(self, known: Mapping[str, Trial]) -> dict[str, Any] | None:
        """Return one of the configurations that are left, None where none is."""
        drawn = random.Random(self._options.seed + len(known))  # noqa: S311 - a search, no secret
        left = [
            configuration
            for configuration in draw_configurations(self._space, drawn)
            if _key(configuration) not in known and self._is_measurable(configuration)
        ]
        first = next((item for item in left if self._is_allowed(item, len(known))), None)
        if first is None and left:
            self._oversubscribe = True  # nothing else is left
            return left[0]
        return first

    def _is_measurable(self, configuration: Configuration) -> bool:
        return is_measurable(configuration, self._spec, self._machine, self._sample)

    def _is_allowed(self, configuration: Configuration, tried: int) -> bool:
        if not self._is_measurable(configuration):
            return False
        if self._oversubscribe or tried >= self._options.not_first:
            return True
        return not is_oversubscribed(configuration, self._spec, self._machine)

    def _try(self, study: Study, proposal: Proposal, *, number: int) -> Trial:
        began = self._measuring.now()
        refused = self._refused(proposal.configuration)
        if refused is None:
            work = self._works.make(proposal.configuration)
            attempt = self._measuring.attempt(work, study.watcher(proposal))
            shutil.rmtree(work.folder, ignore_errors=True)
        else:
            attempt = Attempt(*refused, None, 0, 0, None, self._measuring.now() - began)
        found = attempt.measured
        return Trial(
            number=number,
            origin=proposal.origin,
            configuration=proposal.configuration,
            outcome=attempt.outcome,
            reason=attempt.reason,
            items_per_s=found and found.items_per_s,
            error=found and min(found.error, 1.0),
            p95_s=found and found.p95_s,
            peak_memory_bytes=attempt.peak_memory_bytes or None,
            windows=attempt.windows,
            start_s=attempt.start_s,
            seconds=self._measuring.now() - began,
            ended_s=self._before_s + self._measuring.now() - self._began,
        )

    def _refused(self, configuration: Configuration) -> tuple[Outcome, str] | None:
        """Return why a configuration is not measured, as where its model answers otherwise; None to do it."""
        if not changes_answers(configuration, self._space.baseline):
            return None
        key = answers_key(configuration)
        if key not in self._answers:
            self._answers[key] = self._compare_answers(configuration)
        return self._answers[key]

    def _compare_answers(self, configuration: Configuration) -> tuple[Outcome, str] | None:
        answers = []
        try:
            for item in (self._space.baseline, configuration):
                with Child(self._works.make(item), stall_s=self._measuring.stall_s) as child:
                    answers.append(child.answer(self._rounds.answers))
        except TrialFailedError as error:
            return "failed", str(error)
        found = agreement_of(*answers, resolver=resolve_filesystem)
        wrong = disagreement(found, self._rounds.min_agreement)
        return None if wrong is None else ("infeasible", wrong)

    def _confirm(self, study: Study) -> Confirmation:
        objective = self._measuring.objective
        plan = self._confirming(study.trials[0])
        finalists = pick_finalists(study.trials, objective, most=plan.finalists)
        if not finalists:
            return Confirmation()
        return confirm(
            self._works.make(self._space.baseline),
            [(trial, self._works.make(trial.configuration)) for trial in finalists],
            plan.rounds,
            objective=objective,
            limits=self._measuring.limits,
            resolver=resolve_filesystem,  # trials' runs lie on this machine
            stall_s=self._measuring.stall_s,
            on_round=self._watch.round,
        )

    def _confirming(self, baseline: Trial) -> Confirming:
        options = self._options
        return plan_confirming(baseline, self._rounds, most=options.finalists, budget_s=options.budget_s)

    def _report(self, study: Study, ended: Ending, confirmation: Confirmation) -> TuneReport:
        trials = study.trials
        winner = choose_winner(
            confirmation.finalists, self._space.baseline, baseline_fits=trials[0].outcome != "infeasible"
        )
        changes = overrides(self._spec, winner.configuration) if winner else {}
        peak = (winner.peak_memory_bytes if winner else None) or trials[0].peak_memory_bytes or 0
        tuned = load_spec(self._spec, overrides=changes)
        return TuneReport(
            pipeline=self._spec.name,
            objective=self._measuring.objective,
            records=self._sample.records,
            total_records=self._sample.total,
            space={item.key: list(item.values) for item in self._space.dimensions},
            grid_size=self._space.size,
            trials=trials,
            ended=ended,
            finalists=confirmation.finalists,
            dropped=dict(confirmation.dropped),
            winner=winner.trial if winner else None,
            changes=changes,
            airflow=airflow_settings(tuned, self._machine, peak) if winner else (),
            seconds=self._measuring.now() - self._began,
            seed=self._options.seed,
        )

    def _fingerprint(self) -> str:
        return fingerprint(
            {
                "spec": self._spec.model_dump(mode="json"),
                "sample": [self._sample.records, self._sample.total],
                "space": {item.key: item.values for item in self._space.dimensions},
                "objective": self._measuring.objective,
                "limits": [self._measuring.limits.latency_s, self._measuring.limits.memory_bytes],
                "cores": self._machine.cores,
            }
        )


def _key(configuration: Configuration) -> str:
    return json.dumps(dict(configuration), sort_keys=True)
