from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from onnx_models import image_model
from PIL import Image
from pipelines import encoded

from airflow_provider_aiopt.cli.main import main


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number, colour in enumerate(("red", "lime", "blue")):
        payload = encoded(Image.new("RGB", (200, 120), colour), "JPEG")
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(payload)
    image_model(tmp_path / "model.onnx", size=16)
    values = {
        "source": {"uri": "photos"},
        "preprocess": {"kind": "image", "size": 16, "scaled_decode": True},
        "model": {"uri": "model.onnx", "device": "cpu"},
        "postprocess": {"kind": "classification"},
    }
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_the_table_and_success(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preprocess", "compare", str(spec), "--min-agreement", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for part in ("scaled_decode true", "CPU time per image", "same first answer", "100.0 %", "3 records"):
        assert part in printed.out


def test_too_few_same_answers_fail_after_the_figures(
    spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_aiopt.stages.transforms import image

    monkeypatch.setattr(image, "resize_crop", lambda *_: Image.new("RGB", (16, 16), "red"))
    assert main(["preprocess", "compare", str(spec), "--json"]) == 1
    printed = capsys.readouterr()
    values = json.loads(printed.out)
    assert values["agreement"] == pytest.approx(1 / 3)
    assert values["settings"] == {"scaled_decode": True}
    assert {"exact", "fast", "evaluation", "max_pixel_difference"} <= set(values)
    assert printed.err.startswith("aiopt: With preprocess.scaled_decode True, 33.33% of 3 records")


def test_nothing_to_compare(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preprocess", "compare", str(spec), "--set", "preprocess.scaled_decode=false"]) == 1
    assert "no fast preprocessing to compare" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--sample", "0"], ["--min-agreement", "1.1"], ["--min-agreement", "x"]]
)
def test_wrong_usage(spec: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["preprocess", "compare", str(spec), *arguments])
    assert arguments[0] in capsys.readouterr().err
