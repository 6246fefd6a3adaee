from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from airflow_provider_aiopt.telemetry.faults import first_fault


class _Item(BaseModel):
    count: int


class _Box(BaseModel):
    items: list[_Item]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('{"items": [{"count": 1}, {"count": "x"}, {}]}', "items.1.count: Input should be a valid integer"),
        ("{}", "items: Field required"),
        ("[]", "the file: Input should be an object"),
    ],
)
def test_the_key_that_is_wrong_is_named(content: str, fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Box.model_validate_json(content)
    assert first_fault(caught.value, "the file").startswith(fault)
