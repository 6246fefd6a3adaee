from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.definitions.param import ParamsDict

from airflow_provider_aiopt.airflow.profiling import PROFILE_OPTIONS, profile_params, with_profiler
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.spec.profile import PROFILE_KINDS
from airflow_provider_aiopt.telemetry.reports import STAGES


@pytest.fixture
def run(tmp_path: Path) -> RunContext:
    spec = load_spec({"source": {"uri": "data"}, "model": {"uri": "m"}})
    return RunContext(spec=spec, workspace=Workspace.open(str(tmp_path)), allowed_callables=("mine",))


@pytest.mark.parametrize("kind", [None, "", "none"])
def test_off_leaves_the_run_as_it_is(run: RunContext, kind: str | None) -> None:
    assert with_profiler(run, kind, "ingest") is run


def test_on_gives_it_a_profiler(run: RunContext) -> None:
    assert with_profiler(run, "cprofile").profiler is not None


def test_what_is_not_known_fails_for_good(run: RunContext) -> None:
    with pytest.raises(ProfilingError, match="profile is 'gprof'") as caught:
        with_profiler(run, "gprof")
    assert not caught.value.retryable


def test_the_params_are_those_that_the_options_read_and_their_defaults_are_allowed() -> None:
    params = ParamsDict(profile_params())
    assert params.validate() == {"profile": "none", "profile_stage": "none"}
    assert set(PROFILE_OPTIONS) == set(params)
    assert all(value == f"{{{{ params.{name} }}}}" for name, value in PROFILE_OPTIONS.items())


@pytest.mark.parametrize(("name", "values"), [("profile", PROFILE_KINDS), ("profile_stage", STAGES)])
def test_the_params_take_all_kinds_and_stages(name: str, values: tuple[str, ...]) -> None:
    for value in values:
        params = ParamsDict(profile_params())
        params[name] = value
        assert params.validate()[name] == value
