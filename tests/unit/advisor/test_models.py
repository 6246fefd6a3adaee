from __future__ import annotations

import pytest
from pydantic import ValidationError

from airflow_provider_aiopt.advisor.models import Change, Kind, Recommendation


def recommendation(kind: Kind = "setting", gain: float = 2.0, saved_s: float = 5.0) -> Recommendation:
    return Recommendation(
        rule="storage.readers",
        family="storage",
        title="it waits",
        evidence=("1 read",),
        changes=(Change(scope="spec", key="source.readers", value=32),),
        gain=gain,
        saved_s=saved_s,
        formula="f",
        assumptions="a",
        reason="r",
        kind=kind,
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change(scope="pool", key="gpus", value=4, before=1), "slots of pool gpus = 4 (now 1)"),
        (
            Change(scope="spec", key="preprocess.processes", value=True, before=False),
            "preprocess.processes = true (now false)",
        ),
        (
            Change(scope="airflow", key="[core] parallelism", value=8),
            "[core] parallelism = 8",
        ),
        (Change(scope="command", key="pip install x"), "pip install x"),
    ],
)
def test_a_change_is_written_as_people_do(change: Change, text: str) -> None:
    assert str(change) == text


def test_a_setting_comes_before_a_mode_that_saves_less_than_twice_as_much_and_conditions_come_last() -> None:
    ordered = [
        recommendation("mode", saved_s=11.0),
        recommendation("setting", saved_s=5.0),
        recommendation("mode", saved_s=9.0),
        recommendation("conditional", saved_s=100.0),
    ]
    assert sorted(ordered, key=lambda advice: advice.rank, reverse=True) == ordered


@pytest.mark.parametrize("gain", [0.99, float("inf"), float("nan")])
def test_a_gain_is_finite_and_no_loss(gain: float) -> None:
    with pytest.raises(ValidationError, match="gain"):
        recommendation(gain=gain)
