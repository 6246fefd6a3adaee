from __future__ import annotations

import math

import pytest
from advisor_reports import SICK, WELL, run

from airflow_provider_aiopt.advisor.facts import Facts
from airflow_provider_aiopt.advisor.models import Recommendation
from airflow_provider_aiopt.advisor.rules import RULES
from airflow_provider_aiopt.advisor.rules.base import Rule

BY_NAME = {rule.name: rule for rule in RULES}


def found(name: str) -> Recommendation:
    judged = BY_NAME[name].judge(Facts(SICK[name]()))
    assert judged is not None
    return judged


def test_each_rule_has_a_run_that_shows_its_cause() -> None:
    assert set(SICK) == set(BY_NAME)


@pytest.mark.parametrize("name", SICK)
def test_each_rule_finds_its_cause(name: str) -> None:
    advice = found(name)
    assert advice.rule == name
    assert advice.gain >= 1.05
    assert math.isfinite(advice.gain)
    assert advice.evidence
    assert all(any(char.isdigit() for char in line) or ":" in line for line in advice.evidence)


@pytest.mark.parametrize("well", WELL)
@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.kind == "setting"], ids=lambda rule: rule.name
)
def test_no_rule_finds_a_setting_to_change_where_all_is_well(rule: Rule, well: str) -> None:
    assert rule.judge(Facts(WELL[well]())) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_says_what_it_rests_on(rule: Rule) -> None:
    assert rule.name.startswith(f"{rule.family}.")
    assert all((rule.finds, rule.changes, rule.formula, rule.assumptions, rule.reason))


@pytest.mark.parametrize(
    ("name", "gain"),
    [
        # Four cores, one worker: all but 1.5 s of 21.5 s in a quarter of the time.
        ("preprocessing.workers", 21.5 / (1.5 + 20 / 4)),
        # 19.5 s of waiting, getting ready being the reads of the first batch, become 76 s by 32 readers.
        ("storage.readers", 40.5 / (40.5 - 19.5 + 76 / 32)),
        # Two cores of four: 20 s become 10 s.
        ("neighbours.crowded", 21.5 / 11.5),
        # A million switches are 6 s of 14 s of CPU time; the rest is spread over four cores.
        ("inference.threads", 21.5 / (11.5 + (14 - 6) / 4 / 0.95)),
        # 11 s of moving float64, and three quarters of 4 s that are the kernel's, become an eighth.
        ("transfer.wide-columns", 21.5 / (21.5 - (11 + 3) * 7 / 8)),
        # 10 s of preparing become 640 hits of 20 µs and 1000 bytes each.
        ("preprocessing.cold-cache", 21.5 / (21.5 - 10 + 640 * (20e-6 + 1000 / 2**30))),
        # 28 of 32 tasks of four at once need no start of 2 s and no model of 0.2 s.
        ("startup.tasks", 21 / (21 - 28 * 2.2 / 4)),
        # Waits of 5 s, thrice, become those of 0.05 s.
        ("scheduling.idle-sleep", 38.5 / (38.5 - 15 + 3 * 0.075)),
    ],
)
def test_gains_are_what_the_formulas_say(name: str, gain: float) -> None:
    assert found(name).gain == pytest.approx(gain, rel=0.01)


def test_a_tenth_of_a_millisecond_of_a_call_is_the_cost_of_its_batch() -> None:
    def saved_s(call_s: float) -> float:
        evidence = {"calls": 640, "call_s": call_s, "setup_s": 0.2}
        single = {"batch_sizes": {1: 640}, "evidence": evidence}
        one = {"execution.batch_size": 1}
        judged = BY_NAME["inference.batch-size"].judge(
            Facts(run(preprocess=single, inference=single | {"settings": one, "details": {"threads": 2}}))
        )
        assert judged is not None
        return judged.saved_s

    # Two at once: calls of 0.2 ms end every 0.1 ms, and only 640 records of 4 µs remain in each stage.
    assert saved_s(0.2e-3 * 640) == pytest.approx(saved_s(0.0))
    assert saved_s(0.0) - saved_s(0.4e-3 * 640) == pytest.approx(
        2 * (0.1e-3 - 4e-6) * 640 * 63 / 64, rel=1e-3
    )


def test_slots_are_as_many_as_the_cores_have_work_for() -> None:
    advice = found("queueing.slots")
    (change,) = advice.changes
    # Tasks of 6 s with 1.5 s of CPU time: all eight at once work for 3 s on four cores, and wait for 4.5 s.
    assert (change.scope, change.key, change.value, change.before) == ("pool", "records", 8, 1)
    assert advice.saved_s == pytest.approx(48 - 7.5)


def test_in_the_default_pool_parallelism_is_what_binds() -> None:
    from advisor_reports import mapped

    report = mapped(tasks=8, at_once=1, each_s=5.0, start_up_s=1.0, cpu_s=0.5)
    judged = BY_NAME["queueing.slots"].judge(Facts(report))
    assert judged is not None
    assert judged.changes[0].key == "[core] parallelism"


def test_tasks_of_small_shards_become_as_many_as_run_at_once() -> None:
    (change,) = found("startup.tasks").changes
    assert (change.key, change.value, change.before) == ("execution.shards", 4, 32)


def test_commits_are_left_one_hundredth_of_the_run() -> None:
    (change,) = found("startup.commits").changes
    # Twice 8.5 s of commits and 0.5 s of looking at shards make 8.75 ms for each; 11 s are other work.
    assert change.value == math.floor(0.01 * (28.5 - 17.5) / (17.5 / 2000))
