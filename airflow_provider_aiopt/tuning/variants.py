"""Models that were made from the one that a spec names, in folders beside it."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.card import CARD_FILE, load_card
from airflow_provider_aiopt.spec.model import ModelSpec


def sibling_models(spec: ModelSpec) -> tuple[str, ...]:
    """Return the model folders beside a model's that hold the same model in another precision.

    These are the folders whose card names this model as the one that it was made from, as ``aiopt model
    quantize`` writes it, and that one where this model was made from it.  Other models, remote ones and those
    without a card have none.

    :param spec: the spec's model
    """
    own = Path(spec.uri)
    if not (own / CARD_FILE).is_file():
        return ()
    card = load_card(own)
    family = {card.sha256} | ({card.original.sha256} if card.original else set())
    found = []
    for folder in sorted(own.parent.iterdir()):
        if folder == own or not (folder / CARD_FILE).is_file():
            continue
        try:
            other = load_card(folder)
        except SpecError:  # somebody else's folder
            continue
        made_from = {other.sha256} | ({other.original.sha256} if other.original else set())
        if family & made_from:
            found.append(str(folder))
    return tuple(found)
