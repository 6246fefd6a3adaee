"""The real models, pruned and halved: smaller files that answer much the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_fixtures import PHOTOGRAPHS

from airflow_provider_aiopt.exceptions import ModelAccuracyError
from airflow_provider_aiopt.optimize import sessions
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate
from airflow_provider_aiopt.optimize.fp16 import Fp16Options, convert_model
from airflow_provider_aiopt.optimize.prune import PruneOptions, prune_model
from airflow_provider_aiopt.spec.card import load_card

TEXTS = Path(__file__).parents[2] / "examples" / "texts.jsonl"
OPEN_GATE = AccuracyGate(min_agreement=0, max_score_error=1, max_mean_score_error=1)


@pytest.fixture(autouse=True)
def _no_long_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five calls of each are enough where nobody looks at the times."""
    monkeypatch.setattr(sessions, "_BUDGET_S", 0.0)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    import json

    lines = [json.loads(line)["text"] for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    (tmp_path / "texts.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "texts.txt"


def test_efficientnet_loses_channels_and_half_of_its_zeros_are_refused(
    efficientnet_lite0_fp32: Path, tmp_path: Path
) -> None:
    """Judged by the photographs that it was looked at with: what it makes of others is for the benchmark."""
    options = PruneOptions(
        model=efficientnet_lite0_fp32,
        output=tmp_path / "pruned",
        calibration=PHOTOGRAPHS,
        evaluation=PHOTOGRAPHS,
        crops=6,
        evaluation_crops=2,
        kind="structured",
        amount=0.02,
        gate=AccuracyGate(min_agreement=0.9),
    )
    report = prune_model(options)
    assert report.after.size_bytes < 0.98 * report.before.size_bytes
    card = load_card(tmp_path / "pruned")
    assert card.method is not None
    assert " of 10576 removable channels of 19 layers removed" in card.method, "all but the residual ones"
    with pytest.raises(ModelAccuracyError, match=r"--min-agreement"):
        prune_model(
            PruneOptions(
                model=efficientnet_lite0_fp32,
                output=tmp_path / "sparse",
                evaluation=PHOTOGRAPHS,
                evaluation_crops=2,
                kind="magnitude",
                amount=0.7,
            )
        )


def test_minilm_loses_a_share_of_its_inner_products(minilm_l6_v2: Path, texts: Path, tmp_path: Path) -> None:
    report = prune_model(
        PruneOptions(
            model=minilm_l6_v2,
            output=tmp_path / "pruned",
            calibration=texts,
            evaluation=texts,
            kind="structured",
            amount=0.005,
            gate=OPEN_GATE,
        )
    )
    assert report.card.method is not None
    assert " of 9216 removable channels of 6 layers removed" in report.card.method
    assert report.evaluation.mean_score_error < 0.02
    assert (tmp_path / "pruned" / "tokenizer.json").is_file()


def test_minilm_in_half_precision_finds_the_same_neighbours(
    minilm_l6_v2: Path, texts: Path, tmp_path: Path
) -> None:
    report = convert_model(Fp16Options(model=minilm_l6_v2, output=tmp_path / "fp16", evaluation=texts))
    assert report.after.size_bytes < 0.51 * report.before.size_bytes
    assert report.evaluation.agreement == 1
