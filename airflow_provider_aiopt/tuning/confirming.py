"""Measuring the best again, in turn with the baseline: what a search found may have been luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from airflow_provider_aiopt.compare.agreement import find_agreement
from airflow_provider_aiopt.compare.comparing import compare_metric, judge
from airflow_provider_aiopt.compare.models import Agreement, MetricComparison, Settings
from airflow_provider_aiopt.compare.planning import least_rounds, run_order
from airflow_provider_aiopt.compare.statistics import Ratio, Samples, holm
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder
from airflow_provider_aiopt.exceptions import TuningError
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from airflow_provider_aiopt.telemetry.trend import percentile
from airflow_provider_aiopt.tuning.child import Begin, Child, TrialFailedError, Work
from airflow_provider_aiopt.tuning.measuring import MeasuringPlan, Window, WindowMeter, summarise
from airflow_provider_aiopt.tuning.models import Finalist, Limits, Objective, Rounds, Trial

BASELINE = "baseline"
THROUGHPUT, LATENCY = "items_per_s", "batch_p95"
"""Names of the two metrics that are judged."""

_WARM_UP, _WINDOW = 0.2, 0.3  # parts of a round
_P95 = 95


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What came of measuring finalists again.

    :param finalists: those that ran all rounds, the best first
    :param dropped: why others did not, by the number of their trial
    """

    finalists: tuple[Finalist, ...] = ()
    dropped: Mapping[int, str] = field(default_factory=dict)


@dataclass
class _Entry:
    """One of those that are measured in turn."""

    name: str
    child: Child
    windows: list[Window] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    agreement: Agreement | None = None
    refused: str | None = None


def confirm(
    baseline: Work,
    finalists: Sequence[tuple[Trial, Work]],
    rounds: Rounds,
    *,
    objective: Objective,
    limits: Limits,
    resolver: FileSystemResolver,
    stall_s: float,
    on_round: Callable[[int, int], None] = lambda *_: None,
) -> Confirmation:
    """Measure finalists in turn with the baseline, each in a process that stays.

    :param baseline: what the user's own settings run
    :param finalists: trials, and what they run
    :param rounds: how
    :param objective: what is made better
    :param limits: what may not be exceeded
    :param resolver: how to find the results' file systems
    :param stall_s: seconds without results after which one counts as hung
    :param on_round: told the round, from 1, and how many there are
    :returns: what came of it
    :raises TuningError: if the baseline fails
    """
    with ExitStack() as stack:

        def start(name: str, work: Work, memory: int | None) -> _Entry:
            child = Child(work, stall_s=stall_s, memory_limit_bytes=memory)
            return _Entry(name, stack.enter_context(child))

        own = start(BASELINE, baseline, None)
        entries = {BASELINE: own} | {
            str(trial.number): start(str(trial.number), work, limits.memory_bytes)
            for trial, work in finalists
        }
        _compare_answers(entries, rounds, resolver)
        count = max(rounds.rounds, least_rounds(rounds.settings, len(finalists)))
        for number, order in enumerate(run_order(list(entries), count, seed=rounds.settings.seed), start=1):
            on_round(number, count)
            for name in order:
                _measure(entries[name], rounds.round_s, objective)
    return _judged(
        own, [(trial, entries[str(trial.number)]) for trial, _ in finalists], rounds, objective, limits
    )


def agreement_of(ours: str, theirs: str, *, resolver: FileSystemResolver) -> Agreement | None:
    """Compare what two runs answered.

    :param ours: workspace of the baseline's run
    :param theirs: workspace of the other
    :param resolver: how to find file systems
    """
    reports = [[load_run_report(Folder.open(uri, resolver=resolver))] for uri in (ours, theirs)]
    return find_agreement(*reports, resolver=resolver)


def disagreement(found: Agreement | None, least: float) -> str | None:
    """Say what is wrong with the answers, None where nothing is.

    :param found: how they compare, None where there are none to compare
    :param least: share of the records that must be answered alike, 0 to 1
    """
    if found is None:
        return "it left no results to compare"
    if not found.balanced:
        return "its run does not account for the same records as the baseline's"
    if found.share < least:
        return (
            f"it answers {found.same} of {found.records} records as the baseline does, {found.share:.1%}; at "
            f"least {least:.1%} must be the same"
        )
    return None


def _compare_answers(entries: Mapping[str, _Entry], rounds: Rounds, resolver: FileSystemResolver) -> None:
    """Have each answer the same records; that also warms them up."""
    found: dict[str, str] = {}
    for entry in entries.values():
        try:
            found[entry.name] = entry.child.answer(rounds.answers)
        except TrialFailedError as error:
            _refuse(entry, str(error))
    for entry in entries.values():
        if entry.name != BASELINE and entry.name in found:
            entry.agreement = agreement_of(found[BASELINE], found[entry.name], resolver=resolver)
            entry.refused = disagreement(entry.agreement, rounds.min_agreement)


def _measure(entry: _Entry, seconds: float, objective: Objective) -> None:
    if entry.refused is not None:
        return
    # The windows are those of a trial, or shorter; all of a round's are taken together.
    longest = MeasuringPlan()
    meter = WindowMeter(
        MeasuringPlan(
            warm_up_s=min(longest.warm_up_s, _WARM_UP * seconds),
            window_s=min(longest.window_s, _WINDOW * seconds),
        )
    )
    try:
        for event in entry.child.measure(seconds):
            if isinstance(event, Begin):
                meter.begin(event.at)
            else:
                meter.add(event)
    except TrialFailedError as error:
        _refuse(entry, str(error))
        return
    if not meter.windows:
        _refuse(entry, "a round ended before anything was measured")
        return
    found = summarise(meter.windows)
    entry.windows += meter.windows
    entry.values.append(found.items_per_s if objective == "throughput" else found.p95_s or 0.0)


def _refuse(entry: _Entry, reason: str) -> None:
    if entry.name == BASELINE:
        raise TuningError(f"The pipeline with its own settings failed when it was measured again: {reason}")
    entry.refused = reason


def _judged(
    own: _Entry,
    found: Sequence[tuple[Trial, _Entry]],
    rounds: Rounds,
    objective: Objective,
    limits: Limits,
) -> Confirmation:
    """Return the verdicts on those that ran all rounds."""
    settings = rounds.settings
    whole = [(trial, entry) for trial, entry in found if len(entry.values) == len(own.values)]
    metrics = [_metric(own, entry, objective, settings) for _, entry in whole]
    adjusted = holm([metric.p_value for metric in metrics])
    finalists = [
        Finalist(
            trial=trial.number,
            configuration=trial.configuration,
            verdict=judge(
                Ratio(metric.ratio, metric.low, metric.high, metric.standard_error),
                p_value,
                settings,
                lower_is_better=metric.lower_is_better,
            ),
            adjusted_p=p_value,
            metric=metric,
            agreement=entry.agreement,
            peak_memory_bytes=entry.child.peak_memory_bytes,
            refused=entry.refused or _limit_passed(entry, limits),
        )
        for (trial, entry), metric, p_value in zip(whole, metrics, adjusted, strict=True)
    ]
    finalists.sort(key=lambda item: item.metric.ratio, reverse=objective == "throughput")
    dropped = {
        trial.number: entry.refused or "" for trial, entry in found if len(entry.values) < len(own.values)
    }
    return Confirmation(tuple(finalists), dropped)


def _metric(own: _Entry, entry: _Entry, objective: Objective, settings: Settings) -> MetricComparison:
    name = THROUGHPUT if objective == "throughput" else LATENCY
    return compare_metric(name, Samples(tuple(own.values), tuple(entry.values), paired=True), settings)


def _limit_passed(entry: _Entry, limits: Limits) -> str | None:
    latencies = [item for window in entry.windows for item in window.latencies_s]
    p95 = percentile(latencies, _P95) if latencies else None
    passed = [
        name for name, excess in limits.excess(p95, entry.child.peak_memory_bytes).items() if excess > 0
    ]
    return f"measured again it passed the limit of {' and '.join(passed)}" if passed else None
