from __future__ import annotations

import pytest

from benchmarks.latency.configurations import CONFIGURATIONS
from benchmarks.latency.figures import Sample, checks, quantile, results, spread, tables
from benchmarks.latency_systems import systems
from benchmarks.latency_systems.base import PAYLOAD, Begun, Site

SYSTEMS = systems()


def sample(system: str, first: float, last: float | None = None, **times: float | None) -> Sample:
    return Sample(
        system=system,
        configuration="low-latency",
        run_id="r",
        uploaded_at=100.0,
        first_task_at=100.0 + first,
        results_at=None if last is None else 100.0 + last,
        **{"event_at": None, "run_created_at": None, **times},
    )


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([7.0], 0.95, 7.0), ([1.0, 3.0], 0.5, 2.0), ([3.0, 1.0, 2.0], 0.5, 2.0), (range(101), 0.95, 95.0)],
)
def test_a_quantile_lies_between_its_neighbours(values, share, expected):
    assert quantile(values, share) == pytest.approx(expected)


def test_the_spread_of_one_value_is_that_value():
    assert spread([0.25]) == {"p50": 0.25, "p95": 0.25, "max": 0.25, "n": 1}


def test_results_are_by_system_and_configuration_and_only_of_what_has_them():
    figures = results([sample("a", 0.5, 1.5), sample("a", 1.5, 2.5), sample("b", 3.0)])

    assert figures["upload_to_first_task_s"]["a@low-latency"] == pytest.approx(
        {"p50": 1.0, "p95": 1.45, "max": 1.5, "n": 2}
    )
    assert figures["upload_to_first_task_s"]["b@low-latency"]["p50"] == 3.0
    assert list(figures["upload_to_results_s"]) == ["a@low-latency"]


def test_targets_are_held_against_the_p95_of_their_configuration():
    figures = results([sample("aiopt_watch_streaming", 0.3, 1.1), sample("aiopt_watch_staged", 0.6, 2.3)])

    found = {check.name: check.met for check in checks(figures, SYSTEMS.values(), "postgresql")}

    assert found == {
        "aiopt_watch_streaming@low-latency: p95 to first task, s": True,
        "aiopt_watch_streaming@low-latency: p95 to results, s": True,
        "aiopt_watch_staged@low-latency: p95 to first task, s": False,
        "aiopt_watch_staged@low-latency: p95 to results, s": False,
    }


def test_on_sqlite_other_targets_hold():
    figures = results([sample("new_upload_trigger", 1.7), sample("aiopt_watch", 0.6)])

    assert {check.name: check.target for check in checks(figures, SYSTEMS.values(), "sqlite")} == {
        "new_upload_trigger@low-latency: p95 to first task, s": 1.8,
        "aiopt_watch@low-latency: p95 to first task, s": 1.8,
    }


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_targets_name_configurations_that_there_are(system):
    assert {*system.first_task_p95_s, *system.results_p95_s, *system.sqlite_first_task_p95_s} <= set(
        CONFIGURATIONS
    )


def test_the_tables_show_steps_and_say_when_a_run_was_there_before():
    samples = [sample("a", 0.75, 1.0, run_created_at=40.0), sample("b", 0.5, event_at=100.25)]

    first, last, steps = tables(samples, results(samples))

    assert [first.row_count, last.row_count, steps.row_count] == [2, 1, 2]
    cells = [list(column.cells) for column in steps.columns]
    assert cells == [
        ["a@low-latency", "b@low-latency"],
        ["", "0.25"],
        ["before", ""],
        ["0.75", "0.50"],
        ["1.00", ""],
    ]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_has_a_dag_file_of_its_name(name, tmp_path):
    site = Site.below(tmp_path)

    text = SYSTEMS[name].dag(site)

    compile(text, name, "exec")
    assert f"DAG({name!r}, " in text
    assert repr(str(site.records)) in text


def test_an_upload_appears_whole_under_its_name_and_is_begun_once(tmp_path):
    system, site = SYSTEMS["file_sensor_1s"], Site.below(tmp_path)

    system.upload(None, site, 3)
    assert [(path.name, path.read_bytes()) for path in site.inbox.iterdir()] == [("object-3", PAYLOAD)]

    assert system.begun(site) is None
    (site.records / "x.json").write_text('{"run_id": "odd/run", "began": 12.5}')
    assert system.begun(site) == Begun("odd/run", 12.5)
    assert system.begun(site) is None
