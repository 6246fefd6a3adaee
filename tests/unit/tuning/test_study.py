from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from components import requires

from airflow_provider_aiopt.exceptions import MissingExtraError, TuningError
from airflow_provider_aiopt.tuning.models import Limits, Trial
from airflow_provider_aiopt.tuning.space import Dimension, SearchSpace
from airflow_provider_aiopt.tuning.study import Study, fingerprint

requires("optuna", "uv pip install 'optuna>=5'")

BATCH, MODEL = "execution.batch_size", "model.uri"
SPACE = SearchSpace(
    (Dimension(BATCH, (1, 2, 4, 8, 16, 32, 64)), Dimension(MODEL, ("a", "b"), ordered=False)),
    {BATCH: 1, MODEL: "a"},
)


def open_study(path: Path, *, resume: bool = False, key: str = "key", seed: int = 0, **more: Any) -> Study:
    return Study(SPACE, more.get("objective", "throughput"), path, key=key, seed=seed, resume=resume)


def search(study: Study, make: Callable[..., Trial], count: int, **values: Any) -> list[Trial]:
    """Try configurations whose rate grows with the batch size, and is half with the model b."""
    found = []
    for _ in range(count):
        proposal = study.ask()
        size, model = proposal.configuration[BATCH], proposal.configuration[MODEL]
        rate = 100.0 * size * (0.5 if model == "b" else 1.0)
        number = len(study.trials)
        trial = make(
            number, rate, **{"configuration": proposal.configuration, "origin": proposal.origin, **values}
        )
        study.tell(proposal, trial, Limits())
        found.append(trial)
    return found


def test_what_is_suggested_comes_first_and_all_is_kept(
    tmp_path: Path, make_trial: Callable[..., Trial]
) -> None:
    path = tmp_path / "deep" / "study.journal"
    study = open_study(path)
    study.suggest(SPACE.baseline, "baseline")
    study.suggest({BATCH: 8, MODEL: "b"}, "guess")
    first = search(study, make_trial, 4)
    assert [trial.origin for trial in first] == ["baseline", "guess", "search", "search"]
    assert first[1].configuration == {BATCH: 8, MODEL: "b"}
    again = open_study(path, resume=True)
    assert list(again.trials) == first
    later = search(again, make_trial, 2)
    assert list(again.trials) == first + later


def test_the_same_seed_searches_the_same(tmp_path: Path, make_trial: Callable[..., Trial]) -> None:
    def tried(name: str, seed: int) -> list[dict[str, Any]]:
        return [
            trial.configuration for trial in search(open_study(tmp_path / name, seed=seed), make_trial, 12)
        ]

    assert tried("one", 1) == tried("another", 1) != tried("third", 2)


def test_the_search_learns(tmp_path: Path, make_trial: Callable[..., Trial]) -> None:
    found = search(open_study(tmp_path / "study"), make_trial, 40)
    early, late = found[:6], found[20:]

    def mean(trials: list[Trial]) -> float:
        return sum(trial.items_per_s or 0.0 for trial in trials) / len(trials)

    assert mean(late) > 1.5 * mean(early)


def test_what_falls_behind_is_given_up_but_never_the_baseline(
    tmp_path: Path, make_trial: Callable[..., Trial]
) -> None:
    study = open_study(tmp_path / "study")
    study.suggest(SPACE.baseline, "baseline")
    for rate in (10.0, 100.0, 110.0, 120.0):
        proposal = study.ask()
        watch = study.watcher(proposal)
        assert not any(watch(window, rate) for window in range(4))
        trial = make_trial(len(study.trials), rate, configuration=proposal.configuration)
        study.tell(proposal, trial, Limits())
    slow = study.watcher(study.ask())
    assert [slow(window, 50.0) for window in range(3)] == [False, True, True]
    fast = study.watcher(study.ask())
    assert not any(fast(window, 130.0) for window in range(4))


def test_what_breaks_a_limit_is_avoided(tmp_path: Path, make_trial: Callable[..., Trial]) -> None:
    study, limits, late = open_study(tmp_path / "study"), Limits(memory_bytes=1000), []
    for number in range(40):
        proposal = study.ask()
        size = proposal.configuration[BATCH]
        fits = size <= 4
        trial = make_trial(
            number,
            100.0 * size,
            configuration=proposal.configuration,
            peak_memory_bytes=250 * size,
            outcome="complete" if fits else "infeasible",
        )
        study.tell(proposal, trial, limits)
        late += [fits] if number >= 20 else []
    assert sum(late) > len(late) / 2  # three of seven sizes fit


@pytest.mark.parametrize(("outcome", "rate"), [("failed", None), ("pruned", 1.0), ("infeasible", None)])
def test_whatever_comes_of_a_trial_the_search_goes_on(
    tmp_path: Path, make_trial: Callable[..., Trial], outcome: str, rate: float | None
) -> None:
    study = open_study(tmp_path / "study")
    for number in range(10):
        proposal = study.ask()
        trial = make_trial(number, rate, configuration=proposal.configuration, outcome=outcome)
        study.tell(proposal, trial, Limits(latency_s=0.1))
    study.skip(study.ask())
    study.tell(study.ask(), study.trials[0], Limits(), again=True)
    assert len(study.trials) == 10


def test_a_trial_that_was_under_way_is_tried_again(tmp_path: Path, make_trial: Callable[..., Trial]) -> None:
    study = open_study(tmp_path / "study")
    study.suggest(SPACE.baseline, "baseline")
    study.suggest({BATCH: 8, MODEL: "b"}, "guess")
    search(study, make_trial, 1)
    under_way = study.ask()
    again = open_study(tmp_path / "study", resume=True)
    proposal = again.ask()
    assert (proposal.configuration, proposal.origin) == (under_way.configuration, "guess")


def test_a_study_without_a_baseline_begins_anew(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study")
    study.suggest(SPACE.baseline, "baseline")
    study.ask()
    again = open_study(tmp_path / "study", resume=True, key="whatever")
    assert again.trials == ()


def test_a_study_of_something_else_is_refused(tmp_path: Path, make_trial: Callable[..., Trial]) -> None:
    search(open_study(tmp_path / "study"), make_trial, 1)
    with pytest.raises(TuningError, match="--resume"):
        open_study(tmp_path / "study")
    with pytest.raises(TuningError, match="another spec"):
        open_study(tmp_path / "study", resume=True, key="other")


def test_studies_differ_by_all_that_trials_depend_on() -> None:
    assert fingerprint({"a": 1, "b": (2,)}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 2})


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"airflow-provider-aiopt\[tune\]"):
        open_study(tmp_path / "study")
