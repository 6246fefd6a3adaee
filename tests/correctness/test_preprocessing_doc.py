"""The transform that docs/preprocessing.md shows is run as it stands there."""

from __future__ import annotations

import io
import re
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import yaml
from onnx_models import linear_model
from pipelines import account

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec

TEXT = (Path(__file__).parents[2] / "docs" / "preprocessing.md").read_text(encoding="utf-8")
BANDS = 32


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return found


def tone(frequency: float) -> bytes:
    """A second of one tone, 16 bits at 16 kHz."""
    seconds = np.arange(16_000) / 16_000
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((20_000 * np.sin(2 * np.pi * frequency * seconds)).astype("<i2").tobytes())
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["staged", "streaming"])
@pytest.mark.parametrize("processes", ["false", "true"])
def test_the_example_runs(mode: str, processes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "transforms.py").write_text(block("python"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_package", "my_package.transforms"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "sounds").mkdir()
    middles = [(band + 0.5) * 8_000 / BANDS for band in range(BANDS)]
    for band, frequency in enumerate(middles):
        (tmp_path / "sounds" / f"{band:02d}.wav").write_bytes(tone(frequency))
    (tmp_path / "sounds" / "bad.wav").write_bytes(b"no sound")
    linear_model(tmp_path / "model.onnx", np.eye(BANDS))
    (tmp_path / "spec.yaml").write_text(block("yaml").replace("processes: false", f"processes: {processes}"))

    where = [f"--work-dir={tmp_path / 'runs'}", "--run-id=one", f"--mode={mode}", "--show=0"]
    assert main(["run", str(tmp_path / "spec.yaml"), *where, "--allow-callables", "my_package"]) == 0

    workspace = Workspace.open(str(tmp_path / "runs" / yaml.safe_load(block("yaml"))["name"] / "one"))
    outcome = account(workspace.root, workspace.results)
    loudest = {name: int(np.argmax(row["output"])) for name, row in outcome.rows.items()}
    assert loudest == {f"{band:02d}.wav": band for band in range(BANDS)}
    assert outcome.bad["bad.wav"].message.startswith("This is no WAV file: ")


def test_every_key_of_images_is_told_with_its_default() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \|", TEXT, re.MULTILINE))
    for name, field in ImagePreprocessSpec.model_fields.items():
        if name not in ("kind", "mean", "std"):
            default = field.default
            assert told[name] == (str(default).lower() if isinstance(default, bool) else str(default))
