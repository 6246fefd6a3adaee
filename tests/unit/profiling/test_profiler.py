from __future__ import annotations

import pytest

from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.profiling.base import StageProfiler
from airflow_provider_aiopt.profiling.profiler import make_profiler, profiler_class
from airflow_provider_aiopt.spec.profile import PROFILE_KINDS


@pytest.mark.parametrize("kind", PROFILE_KINDS)
def test_each_kind_has_a_profiler(kind: str) -> None:
    found = profiler_class(kind)
    assert issubclass(found, StageProfiler)
    assert found.kind == kind
    assert make_profiler(kind) is not None


@pytest.mark.parametrize("kind", [None, "", "none"])
def test_none_is_none(kind: str | None) -> None:
    assert make_profiler(kind, "ingest") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cProfile",), "profile is 'cProfile'; it can be cprofile, line, torch, .*, or none"),
        (("line", "decode"), "profile_stage is 'decode'; it can be ingest, .*, or none"),
    ],
)
def test_what_is_not_known_is_named_with_what_is(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ProfilingError, match=message):
        make_profiler(*arguments)


def test_functions_are_for_the_line_profiler_only() -> None:
    with pytest.raises(ProfilingError, match="set profile to 'line'"):
        make_profiler("cprofile", functions=["my.function"])
