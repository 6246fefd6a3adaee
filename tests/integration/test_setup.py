"""``aiopt setup`` and ``aiopt doctor`` with a real Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow_support import clean_environment
from local_airflow import LocalAirflow

pytestmark = pytest.mark.integration

POOL = "aiopt-test/gpus"
OPTIONS = {"AIRFLOW__AIOPT__GPU_POOL": POOL, "AIRFLOW__AIOPT__GPU_POOL_SLOTS": "2"}


@pytest.fixture(autouse=True)
def _no_pool_is_left(airflow: LocalAirflow) -> Iterator[None]:
    yield
    if POOL in pools(airflow):
        airflow.request("DELETE", f"/api/v2/pools/{POOL.replace('/', '%2F')}")


def pools(airflow: LocalAirflow) -> dict[str, dict[str, Any]]:
    return {pool["name"]: pool for pool in airflow.request("GET", "/api/v2/pools")["pools"]}


PROGRAM = "import sys; from airflow_provider_aiopt.cli.main import main; sys.exit(main(sys.argv[1:]))"


def run(airflow: LocalAirflow, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {
        "AIOPT_AIRFLOW_URL": airflow.url,
        "AIOPT_AIRFLOW_USERNAME": airflow.username,
        "AIOPT_AIRFLOW_PASSWORD": airflow.password,
        "NO_COLOR": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        env=environment | env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def inside(airflow: LocalAirflow, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``airflow aiopt`` on a machine of the deployment."""
    env = {"AIRFLOW_HOME": str(airflow.home)} | OPTIONS | env
    return run(airflow, "-m", "airflow", "aiopt", *command, **env)


def outside(airflow: LocalAirflow, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``aiopt`` as on a machine that has no part in the deployment."""
    return run(airflow, "-c", PROGRAM, *command, **env)


def test_the_pool_is_made_once_changed_where_it_differs_and_checked(airflow: LocalAirflow) -> None:
    before = pools(airflow)["default_pool"]
    missing = inside(airflow, "setup", "--check", "--json")
    assert missing.returncode == 1, missing.stderr
    assert [pool["state"] for pool in json.loads(missing.stdout)["pools"]] == ["unchanged", "missing"]
    assert POOL not in pools(airflow)

    assert f"pool {POOL}: created, 2 slots" in inside(airflow, "setup").stdout
    made = pools(airflow)[POOL]
    assert (made["slots"], made["include_deferred"]) == (2, True)

    patch = {"pool": POOL, "slots": 5, "include_deferred": False, "description": "mine"}
    airflow.request("PATCH", f"/api/v2/pools/{POOL.replace('/', '%2F')}", json=patch)
    again = inside(airflow, "setup", "--json")
    assert (again.returncode, json.loads(again.stdout)["ok"]) == (0, True)
    changed = pools(airflow)[POOL]
    assert (changed["slots"], changed["include_deferred"]) == (2, True)
    assert changed["description"] == "mine", "what it has no opinion on stays"

    assert inside(airflow, "setup", "--check").returncode == 0
    assert pools(airflow)["default_pool"] == before


# What does not depend on the machine.
CONFIGURED = ("--only", "limits", "--only", "pools", "--only", "profile")


def findings(ended: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What is not as it should be, by subject."""
    checks = json.loads(ended.stdout)["checks"]
    found = [item for check in checks for item in check["findings"]]
    return {item["subject"]: item for item in found if item["severity"] != "ok"}


def test_the_doctor_compares_and_sees_the_pool(airflow: LocalAirflow) -> None:
    ended = inside(airflow, "doctor", *CONFIGURED, "--json", "--profile", "small-machine")
    found = findings(ended)
    assert ended.returncode == 1
    # The tests' Airflow has the profile but for the templates' options.
    assert set(found) == {f"pool {POOL}", "[aiopt] max_active_runs"}
    assert found[f"pool {POOL}"]["severity"] == "error"

    inside(airflow, "setup")
    profile = ("--strict", "--profile", "small-machine")
    ended = inside(airflow, "doctor", *CONFIGURED, *profile, AIRFLOW__AIOPT__MAX_ACTIVE_RUNS="2")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("3 checks: nothing to change\n")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"AIOPT_AIRFLOW_PASSWORD": "wrong"}, "answered HTTP 401"),
        ({"AIOPT_AIRFLOW_USERNAME": "", "AIOPT_AIRFLOW_TOKEN": "forged"}, "Get a new token"),
        ({"AIOPT_AIRFLOW_URL": "http://127.0.0.1:9"}, "Check that Airflow's API server runs"),
    ],
)
def test_an_airflow_that_refuses_or_is_away(airflow: LocalAirflow, env: dict[str, str], message: str) -> None:
    ended = outside(airflow, "setup", **env)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_api_server_that_does_not_expose_its_configuration(airflow: LocalAirflow) -> None:
    ended = outside(airflow, "doctor", "--only", "limits", "--only", "airflow", "--strict")
    assert ended.returncode == 1, ended.stderr
    assert "ok       airflow: " in ended.stdout
    assert "skipped  limits: GET " in ended.stdout
    assert "answered HTTP 403" in ended.stdout
    assert "[api] expose_config = True" in ended.stdout


def test_an_api_server_that_exposes_its_configuration(start_airflow: Callable[..., LocalAirflow]) -> None:
    airflow = start_airflow(env={"AIRFLOW__API__EXPOSE_CONFIG": "True", "AIRFLOW__AIOPT__SHARDS": "20"})
    ended = outside(airflow, "doctor", *CONFIGURED, "--json", "--profile", "small-machine", "--strict")
    found = findings(ended)
    assert ended.returncode == 1, ended.stderr
    assert found["[aiopt] max_active_runs"]["evidence"].startswith("4; small-machine wants 2 or less")
    assert found["[aiopt] shards"]["severity"] == "note"
    assert set(found) == {"[aiopt] max_active_runs", "[aiopt] shards"}
