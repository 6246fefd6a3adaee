from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airflow_provider_aiopt.exceptions import ModelInputError, ModelLoadError
from airflow_provider_aiopt.optimize.sessions import batches, latencies, run_model


def test_records_are_cut_into_batches() -> None:
    sizes = [len(batch["x"]) for batch in batches({"x": np.arange(7)}, 3)]
    assert sizes == [3, 3, 1]


def test_a_model_runs_over_all_records(cnn: Any) -> None:
    images = np.random.default_rng(0).normal(size=(20, 3, 12, 12)).astype(np.float32)
    (together,) = run_model(cnn.SerializeToString(), {"image": images, "unused": images})
    (alone,) = run_model(cnn.SerializeToString(), {"image": images[17:18]})
    assert together.shape == (20, 5)
    np.testing.assert_allclose(together[17:18], alone, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 12), (2, 3, 12, 13)])
def test_tensors_of_another_shape_are_refused(cnn: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelInputError, match="The model takes image"):
        run_model(cnn.SerializeToString(), {"image": np.zeros(shape, dtype=np.float32)})


def test_a_missing_tensor_is_named(cnn: Any) -> None:
    with pytest.raises(ModelInputError, match=r"but the data have pixels \[2, 1\]"):
        run_model(cnn.SerializeToString(), {"pixels": np.zeros((2, 1), dtype=np.float32)})


def test_a_file_that_is_no_model_is_named(cnn: Any, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelLoadError, match=r"cannot load .*model\.onnx"):
        run_model(tmp_path / "model.onnx", {})


def test_models_are_timed_in_turns(model_folder: Path) -> None:
    images = np.zeros((4, 3, 12, 12), dtype=np.float32)
    first, second = latencies([model_folder / "model.onnx"] * 2, {"image": images}, batch_size=2)
    assert 0 < first < 1
    assert 0 < second < 1
