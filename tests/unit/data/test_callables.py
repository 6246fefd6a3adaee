from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.data.callables import load_callable, split_prefixes
from airflow_provider_aiopt.exceptions import SpecError


def load(path: str, allowed: Sequence[str]) -> Callable[..., Any]:
    return load_callable(path, allowed, where=f"source.uri: 'python:{path}'")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.delitem(sys.modules, "sample_datasets", raising=False)


@pytest.mark.parametrize(
    "allowed",
    [["sample_datasets"], ["sample_datasets."], ["sample_datasets.numbers"], ["other", "sample_datasets"]],
)
def test_what_lies_under_a_prefix_is_loaded(allowed: list[str]) -> None:
    assert load("sample_datasets.numbers", allowed)(2) == ["text 0", "text 1"]


@pytest.mark.parametrize(
    "allowed", [[], [""], ["."], ["sample"], ["sample_dataset"], ["sample_datasets.number"], ["*"]]
)
def test_what_lies_elsewhere_is_not_even_imported(allowed: list[str]) -> None:
    with pytest.raises(SpecError, match=r"is not allowed here; allowed is what lies .*\[aiopt\] allowed"):
        load("sample_datasets.numbers", allowed)

    assert "sample_datasets" not in sys.modules


@pytest.mark.parametrize("name", ["system", "Record"])
def test_what_a_module_borrowed_is_not_lent(name: str) -> None:
    with pytest.raises(SpecError, match=r", which is \w[\w.]+, is not allowed here"):
        load(f"sample_datasets.{name}", ["sample_datasets"])


@pytest.mark.parametrize(
    "path",
    [
        "numbers",
        "sample_datasets._private",
        "sample_datasets.__loader__",
        "_private.numbers",
        "sample_datasets.numbers.__globals__",
        "sample_datasets..numbers",
        ".numbers",
        "sample_datasets.",
        "sample_datasets.numbers()",
        "sample_datasets:numbers",
        "sample_datasets.numbers\n",
        "sämple.numbers",
        "",
    ],
)
def test_what_is_no_public_path_is_refused_whatever_is_allowed(path: str) -> None:
    with pytest.raises(SpecError, match="is no dotted path of a public callable"):
        load(path, ["sample_datasets", "_private", "numbers"])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sample_datasets.not_callable", "is not callable: it is a value of type int"),
        ("sample_datasets.missing", "cannot be imported: AttributeError: "),
        ("nowhere.missing", "cannot be imported: ModuleNotFoundError: "),
        ("sample_datasets.system.missing", "cannot be imported: ModuleNotFoundError: "),
    ],
)
def test_what_cannot_be_called_is_named(path: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load(path, ["sample_datasets", "nowhere"])


def test_prefixes_are_separated_by_commas_or_spaces() -> None:
    assert split_prefixes(" a.b,c  d,\n") == ("a.b", "c", "d")
    assert split_prefixes("") == ()
