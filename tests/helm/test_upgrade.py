"""An upgrade from each released version of the chart: what was there stays, and what was valid is."""

from __future__ import annotations

import copy

import pytest
import yaml
from helm_chart import ALL_ON, CASES, RELEASED, SOURCE, Chart, contract

VERSIONS = sorted(path.stem for path in RELEASED.glob("*.yaml"))


def broken(before: list[dict[str, object]], now: list[dict[str, object]]) -> list[dict[str, object]]:
    """The objects of a release that an upgrade would remove, or could not change."""
    return [item for item in before if item not in now]


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_keep_their_names_and_what_cannot_be_changed(chart: Chart, version: str) -> None:
    released = yaml.safe_load((RELEASED / f"{version}.yaml").read_text())
    now = contract(chart)

    assert set(released["objects"]) <= set(now)
    for case, objects in released["objects"].items():
        assert broken(objects, now[case]) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_values_that_were_valid_still_are(chart: Chart, version: str) -> None:
    """A user's file may name each of them; Helm refuses a key that is gone."""
    released = yaml.safe_load((RELEASED / f"{version}.yaml").read_text())
    kept = chart.folder.parent / f"values-{version}.yaml"
    kept.write_text(yaml.safe_dump(released["values"]))

    for overlays in CASES.values():
        assert chart.own([kept, *overlays], *ALL_ON)


def test_this_version_is_recorded_before_it_is_released() -> None:
    version = yaml.safe_load((SOURCE / "Chart.yaml").read_text())["version"]

    assert version in VERSIONS, "record it: python tests/helm_chart.py"


def test_a_change_that_an_upgrade_cannot_make_is_seen(chart: Chart) -> None:
    now = contract(chart)["multi-team"]
    renamed, rebound = copy.deepcopy(now), copy.deepcopy(now)
    (account,) = [
        item for item in renamed if item["kind"] == "ServiceAccount" and item["namespace"] == "team-vision"
    ]
    account["name"] = "another"
    binding = next(item for item in rebound if item["kind"] == "RoleBinding")
    binding["roleRef"]["name"] = "another"

    assert len(broken(now, renamed)) == len(broken(now, rebound)) == 1


def test_a_job_can_be_made_anew(chart: Chart) -> None:
    jobs = [item for objects in contract(chart).values() for item in objects if item["kind"] == "Job"]

    assert jobs
    assert all(item["replaced"] for item in jobs)
