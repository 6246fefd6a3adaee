"""``aiopt setup``: the pools that the DAG templates need."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from airflow_provider_aiopt.cli.airflow_access import CREDENTIALS_NOTE, airflow_api, api_arguments, known_url
from airflow_provider_aiopt.cli.command import Command, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.deployment.configuration import EnvironmentOptions, aiopt_options
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.deployment.pools import PoolState, compare_pools, set_up_pools, wanted_pools
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

_DESCRIPTION = f"""\
Make the pools that the DAG templates need, or bring them up to date, through Airflow's public API. Again, it
changes nothing.

Which pools, and how many slots they have, is what the [aiopt] options say: cpu_pool, inference_pool and
gpu_pool, each with ..._slots. `airflow aiopt setup` reads them from Airflow's configuration, `aiopt setup`
from environment variables such as AIRFLOW__AIOPT__GPU_POOL_SLOTS. A pool without a number of slots is left as
it is, but must be there. The others count deferred tasks, so that a GPU that a deferred task holds is not
given away twice.

{CREDENTIALS_NOTE}

exit codes: 0 all pools are as they should be, 1 they are not (--check), an option is wrong or Airflow's API
failed, 2 wrong usage
"""


def _run(arguments: argparse.Namespace) -> int:
    url = known_url(arguments)
    if url is None:
        complain("setup: which Airflow? Give --airflow-url, or set AIOPT_AIRFLOW_URL or [api] base_url")
        return ExitCode.USAGE
    overrides = {}
    for item in arguments.set:
        name, equals, value = item.partition("=")
        if not equals:
            complain(f"setup: --set takes OPTION=VALUE, such as gpu_pool_slots=2; found {item!r}")
            return ExitCode.USAGE
        overrides[name.strip()] = value
    configuration = arguments.configuration or EnvironmentOptions()
    wanted = wanted_pools(ConcurrencyOptions.read(aiopt_options(configuration, overrides)))
    api = airflow_api(arguments, url)
    states = compare_pools(wanted, api.pools()) if arguments.check else set_up_pools(wanted, api)
    ok = all(state.ok for state in states)
    if arguments.json:
        answer = {"ok": ok, "pools": [_values(state) for state in states]}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{_line(state)}\n" for state in states)
    return ExitCode.OK if ok else ExitCode.FAILURE


def _line(state: PoolState) -> str:
    wanted, found = state.wanted, state.found
    line = f"pool {wanted.name}: {state.state}"
    if wanted.slots is None:
        return (
            f"{line}, {_size(found)}" if found else f"{line}; [aiopt] {wanted.option} does not say its size"
        )
    shall = _size(wanted.as_pool())
    if state.state in {"different", "updated"} and found:
        return f"{line}, {_size(found)} -> {shall}"
    return f"{line}, {shall}"


def _size(pool: AirflowPool) -> str:
    slots = "any number of slots" if pool.slots < 0 else f"{pool.slots} slots"
    return f"{slots}, deferred tasks {'included' if pool.include_deferred else 'not included'}"


def _values(state: PoolState) -> dict[str, Any]:
    wanted, found = state.wanted, state.found
    return {
        "name": wanted.name,
        "state": state.state,
        "wanted": {"slots": wanted.slots, "include_deferred": wanted.slots is not None or None},
        "found": found and {"slots": found.slots, "include_deferred": found.include_deferred},
    }


COMMAND = Command(
    name="setup",
    help="make the pools that the DAG templates need",
    description=_DESCRIPTION,
    run=_run,
    arguments=(
        argument("--check", action="store_true", help="change nothing; exit code 1 where something differs"),
        argument(
            "--set",
            action="append",
            default=[],
            metavar="OPTION=VALUE",
            help="an [aiopt] option that comes before the configured one; may be repeated",
        ),
        argument("--json", action="store_true", help="print what was found and done as JSON"),
        *api_arguments("the Airflow to set up"),
    ),
)
