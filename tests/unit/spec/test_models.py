from __future__ import annotations

import pytest
from pydantic import ValidationError

from airflow_provider_aiopt.spec import ModelSpec, SinkSpec, SourceSpec, load_spec

SECRET = {"secret": "s3cr3t"}


def test_specs_are_frozen() -> None:
    spec = load_spec({"source": {"uri": "x"}, "model": {"uri": "m"}})

    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        spec.execution.shards = 3


def test_credentials_stay_out_of_repr() -> None:
    spec = load_spec(
        {
            "source": {"uri": "x", "storage_options": SECRET},
            "model": {"uri": "m", "storage_options": SECRET},
            "sink": {"storage_options": SECRET},
        }
    )

    assert spec.source.storage_options == SECRET
    for shown in (spec, spec.source, spec.model, spec.sink):
        assert "s3cr3t" not in repr(shown)
        assert "s3cr3t" not in str(shown)


@pytest.mark.parametrize("section", [SourceSpec(uri="x"), ModelSpec(uri="m"), SinkSpec()])
def test_storage_options_are_not_shared(section: SourceSpec | ModelSpec | SinkSpec) -> None:
    other = type(section).model_validate(section.model_dump())

    assert section.storage_options is not other.storage_options


def test_one_pattern_may_stand_alone() -> None:
    assert SourceSpec(uri="x", pattern="*.jpg").pattern == ("*.jpg",)
    assert SourceSpec(uri="x", pattern=("*.jpg", "*.png")).pattern == ("*.jpg", "*.png")


def test_a_hash_may_be_written_in_capitals() -> None:
    assert ModelSpec(uri="m", sha256="AB" * 32).sha256 == "ab" * 32


def test_a_pattern_may_hold_dots_that_lead_nowhere() -> None:
    assert SourceSpec(uri="x", pattern="a..b/*.jpg").pattern == ("a..b/*.jpg",)
