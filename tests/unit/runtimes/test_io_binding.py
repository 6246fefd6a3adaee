from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.runtimes.io_binding import BoundSession

WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0]])


class Counted:
    """ONNX Runtime's own tensors, counted as they are placed."""

    placed = 0

    def ortvalue_from_numpy(self, *arguments: Any) -> Any:
        self.placed += 1
        return onnxruntime.OrtValue.ortvalue_from_numpy(*arguments)


@pytest.fixture
def session(tmp_path: Path) -> Any:
    """A session on the CPU: binding is the same on every device."""
    file = linear_model(tmp_path / "model.onnx", WEIGHTS)
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def batch(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 2)).astype(np.float32)


def test_each_batch_has_its_own_answer_whatever_its_shape(session: Any) -> None:
    bound = BoundSession(session, onnxruntime.OrtValue, "cpu")
    for seed, rows in enumerate((4, 4, 1, 4, 7)):
        (answer,) = bound.run(["y"], {"x": batch(rows, seed)})
        np.testing.assert_allclose(answer, batch(rows, seed) @ WEIGHTS, rtol=1e-5, atol=1e-6)


def test_an_answer_is_not_changed_by_the_next_batch(session: Any) -> None:
    bound = BoundSession(session, onnxruntime.OrtValue, "cpu")
    (first,) = bound.run(["y"], {"x": batch(4, 1)})
    before = first.copy()
    bound.run(["y"], {"x": batch(4, 2)})
    np.testing.assert_array_equal(first, before)


def test_tensors_of_the_same_shape_share_a_place(session: Any) -> None:
    counted = Counted()
    bound = BoundSession(session, counted, "cpu")
    for rows in (4, 4, 4, 2, 2):
        bound.run(["y"], {"x": batch(rows)})
    assert counted.placed == 2


def test_tensors_in_another_order_of_memory_are_taken(session: Any) -> None:
    bound = BoundSession(session, onnxruntime.OrtValue, "cpu")
    value = np.asfortranarray(batch(4))
    (answer,) = bound.run(["y"], {"x": value})
    np.testing.assert_allclose(answer, value @ WEIGHTS, rtol=1e-5, atol=1e-6)


def test_threads_do_not_write_over_each_others_tensors(session: Any) -> None:
    bound = BoundSession(session, onnxruntime.OrtValue, "cpu")
    with ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(lambda seed: bound.run(["y"], {"x": batch(64, seed)})[0], range(40)))
    for seed, answer in enumerate(answers):
        np.testing.assert_allclose(answer, batch(64, seed) @ WEIGHTS, rtol=1e-4, atol=1e-5)
