from __future__ import annotations

import pytest
from provider import added, attempts, kept, needed

INSTALLED = {"apache-airflow": "3.3.2", "numpy": "2.3.0"}
CONSTRAINTS = [
    "# made by",
    "numpy==2.4.6 ; python_full_version < '3.12'",
    "onnxruntime==1.32.0",
    "Typing_X==1",
]


PROJECT = {"dependencies": ["numpy>=1"], "optional-dependencies": {"cpu": ["onnxruntime>=1"], "s3": ["s3fs"]}}


def test_what_is_needed() -> None:
    assert needed(PROJECT, ["cpu"]) == ["numpy>=1", "onnxruntime>=1"]
    with pytest.raises(SystemExit, match="EXTRAS names tpu; there are cpu, s3"):
        needed(PROJECT, ["cpu", "tpu"])


def test_what_is_there_stays() -> None:
    assert kept(INSTALLED) == ["apache-airflow==3.3.2", "numpy==2.3.0"]


def test_what_is_lacking_comes_as_tested() -> None:
    assert added(CONSTRAINTS, INSTALLED) == ["onnxruntime==1.32.0", "Typing_X==1"]
    assert added(CONSTRAINTS, {"typing-x": "2"} | INSTALLED) == ["onnxruntime==1.32.0"]


def test_the_wheelhouse_comes_before_the_index_and_tested_versions_before_others() -> None:
    (first, *_, last) = tried = attempts(CONSTRAINTS, INSTALLED, ["/wheels/a"])
    assert first == (
        ["--no-index", "--find-links=/wheels/a"],
        ["apache-airflow==3.3.2", "numpy==2.3.0", "onnxruntime==1.32.0", "Typing_X==1"],
    )
    assert last == ([], ["apache-airflow==3.3.2", "numpy==2.3.0"])
    assert len(tried) == 4
    assert len(attempts(CONSTRAINTS, INSTALLED, [])) == 2
