from __future__ import annotations

import json
from pathlib import Path

import pytest
from render_simulated import END, ERRORS, SCALING, begin, errors_page, simulated_page


def test_the_guide_has_what_is_simulated_now() -> None:
    page = SCALING.read_text(encoding="utf-8")

    assert simulated_page(page) == page, "Run: python scripts/render_simulated.py"


def test_the_errors_are_those_that_were_measured_last() -> None:
    page = ERRORS.read_text(encoding="utf-8")

    assert errors_page(page) == page, "Run: python scripts/render_simulated.py"


def test_errors_are_shown_with_their_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "simulation.json"
    monkeypatch.setattr("render_simulated.PREDICTED", path)
    rows = [
        {"configuration": "one", "predicted_s": 9.0, "measured_s": 10.0, "error": 0.1, "images": 7},
        {"configuration": "two", "predicted_s": 12.0, "measured_s": 10.0, "error": 0.2, "images": 7},
    ]
    path.write_text(json.dumps(rows))

    found = errors_page(f"{begin('errors')}old{END}")

    assert "Median error 15.0%, largest 20.0%, 7 photographs to a run:" in found
    assert "| one | 9.00 | 10.00 | -10.0% |" in found
    assert "old" not in found


@pytest.mark.parametrize("mark", [begin("errors"), END])
def test_a_mark_that_is_missing_is_told(mark: str) -> None:
    with pytest.raises(ValueError, match="lacks one of its marks"):
        errors_page(f"{begin('errors')}{END}".replace(mark, ""))
