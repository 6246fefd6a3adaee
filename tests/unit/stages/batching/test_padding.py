from __future__ import annotations

import numpy as np

from airflow_provider_aiopt.stages.batching.padding import pad_rows, trim_rows


def test_the_last_row_fills_up_every_tensor() -> None:
    padded = pad_rows({"x": np.array([[1, 2], [3, 4]]), "mask": np.array([True, False])}, 4)
    np.testing.assert_array_equal(padded["x"], [[1, 2], [3, 4], [3, 4], [3, 4]])
    np.testing.assert_array_equal(padded["mask"], [True, False, False, False])


def test_what_is_full_is_not_copied() -> None:
    value = np.zeros((3, 2))
    assert pad_rows({"x": value}, 3)["x"] is value


def test_the_filling_is_taken_out_of_outputs_that_have_it() -> None:
    outputs = {"y": np.arange(8).reshape(4, 2), "constant": np.arange(3), "scalar": np.float32(1)}
    trimmed = trim_rows(outputs, 4, 3)
    np.testing.assert_array_equal(trimmed["y"], [[0, 1], [2, 3], [4, 5]])
    assert trimmed["constant"] is outputs["constant"]
    assert trimmed["scalar"] is outputs["scalar"]
