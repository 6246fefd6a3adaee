from __future__ import annotations

from pathlib import Path

from airflow_provider_aiopt.optimize.readme import readme_text
from airflow_provider_aiopt.spec.card import OriginalCard, load_card


def test_it_tells_what_the_card_says(model_folder: Path) -> None:
    original = OriginalCard(name="tiny", sha256="1" * 64, command="aiopt model export tiny")
    card = load_card(model_folder).model_copy(
        update={"original": original, "evaluation": {"mean_score_error": 0.0125}}
    )
    text = readme_text(card, ["LICENSE"])
    for said in (card.sha256, "1" * 64, card.command, "`LICENSE`", "mean score error | 0.0125", "[batch, 5]"):
        assert said in text


def test_sections_without_content_are_left_out(model_folder: Path) -> None:
    card = load_card(model_folder).model_copy(update={"versions": {}})
    text = readme_text(card, [])
    assert "## Evaluation" not in text
    assert "## Made with" not in text
    assert "licence files | none" in text
