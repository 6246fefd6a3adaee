from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from components import requires
from model_fixtures import HOW

from airflow_provider_aiopt.exceptions import ModelAccuracyError
from airflow_provider_aiopt.optimize import torch_export
from airflow_provider_aiopt.optimize.sessions import run_model


@pytest.fixture
def module() -> Any:
    for name in ("torch", "onnx", "onnxscript", "onnxruntime"):
        requires(name, HOW)
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()


def _export(module: Any, file: Path) -> None:
    import torch

    torch_export.export_module(
        module, {"x": torch.rand(2, 3)}, outputs=["y"], dynamic_axes={0: "batch"}, file=file
    )


def test_the_file_answers_for_any_batch_what_the_module_answers(module: Any, tmp_path: Path) -> None:
    import torch

    _export(module, tmp_path / "model.onnx")
    x = torch.rand(7, 3)
    with torch.inference_mode():
        expected = module(x).numpy()
    answered = run_model(tmp_path / "model.onnx", {"x": x.numpy()})[0]
    np.testing.assert_allclose(answered, expected, atol=1e-6)


def test_the_file_holds_no_path_of_this_machine(module: Any, tmp_path: Path) -> None:
    _export(module, tmp_path / "model.onnx")
    assert b".py" not in (tmp_path / "model.onnx").read_bytes()


def test_exporting_prints_nothing(module: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _export(module, tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [1e-3, float("nan")])
def test_a_file_that_answers_otherwise_is_refused(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    import torch

    def answer(_: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [module(torch.from_numpy(feeds["x"])).detach().numpy() + error]

    monkeypatch.setattr(torch_export, "run_model", answer)
    with pytest.raises(ModelAccuracyError, match="differs from the PyTorch module"):
        _export(module, tmp_path / "model.onnx")
