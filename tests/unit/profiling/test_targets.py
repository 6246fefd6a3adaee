from __future__ import annotations

import pytest
import sample_profiled

from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.profiling.targets import functions_of, named_functions

ALLOWED = ("sample_profiled",)


def names(path: str) -> set[str]:
    return {target.path.removeprefix("sample_profiled.") for target in named_functions(path, ALLOWED)}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("sample_profiled.doubled", {"doubled"}),
        ("sample_profiled.Adder.add", {"Adder.add"}),
        ("sample_profiled.Adder", {"Adder.add", "Adder._checked"}),
        ("sample_profiled", {"doubled", "counted"}),
    ],
)
def test_a_path_names_a_function_a_class_or_a_module(path: str, expected: set[str]) -> None:
    assert names(path) == expected


def test_an_objects_functions_are_its_classes_and_its_modules() -> None:
    found = {target.path.removeprefix("sample_profiled.") for target in functions_of(sample_profiled.Adder())}
    assert found == {"Adder.add", "Adder._checked", "doubled", "counted"}


def test_of_a_custom_transform_it_is_the_deployments_own() -> None:
    found = {target.name for target in functions_of(sample_profiled.Wrapping())}
    assert {"add", "doubled"} <= found
    assert "__init__" not in found


def test_the_packages_own_functions_need_no_permission() -> None:
    path = "airflow_provider_aiopt.stages.transforms.image.decode_image"
    assert [target.path for target in named_functions(path, ())] == [path]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("os.system", "may not be profiled here"),
        ("airflow_provider_aiopt_evil.steal", "may not be profiled here"),
        ("sample_profiled.missing", "There is no function 'sample_profiled.missing'"),
        ("sample_profiled.Adder.missing", "There is no function"),
        ("sample_profiled.Adder.limit", "a value of type int"),
        ("sample_profiled.missing.deep.path", "There is no function"),
    ],
)
def test_what_cannot_be_profiled_is_named(path: str, message: str) -> None:
    with pytest.raises(ProfilingError, match=message):
        named_functions(path, ALLOWED)


def test_nothing_is_imported_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "sample_profiled")
    with pytest.raises(ProfilingError):
        named_functions("sample_profiled.doubled", ())
    assert "sample_profiled" not in sys.modules


def test_a_function_is_replaced_where_it_is_looked_up_and_put_back() -> None:
    (target,) = named_functions("sample_profiled.Adder.add", ALLOWED)
    adder = sample_profiled.Adder()
    target.replace(lambda *_: 42)
    try:
        assert adder.add(1, 2) == 42
    finally:
        target.restore()
    assert adder.add(1, 2) == 3
