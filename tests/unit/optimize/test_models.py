from __future__ import annotations

import pytest

from airflow_provider_aiopt.optimize.models import CATALOGUE, unique_labels
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec, TextPreprocessSpec


def test_the_catalogue_says_how_to_feed_its_models() -> None:
    image = ImagePreprocessSpec.model_validate(dict(CATALOGUE["efficientnet-lite0"].preprocess))
    assert (image.size, image.mean, image.std) == (224, (127.0,) * 3, (128.0,) * 3)
    assert TextPreprocessSpec.model_validate(dict(CATALOGUE["minilm-l6-v2"].preprocess)).max_length == 256


@pytest.mark.parametrize(
    ("synonyms", "labels"),
    [
        (["tabby, tabby cat", "tiger cat"], ["tabby", "tiger cat"]),
        (["maillot", "maillot, tank suit"], ["maillot", "tank suit"]),
        (["crane", "crane"], ["one", "two"]),
    ],
)
def test_every_class_has_a_short_name_of_its_own(synonyms: list[str], labels: list[str]) -> None:
    assert unique_labels(synonyms, ["one", "two"]) == labels
