"""PyTorch's resize beside Pillow's."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from components import requires
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import HOW, PHOTOGRAPHS
from PIL import Image
from pipelines import encoded

from airflow_provider_aiopt.data.parallel import SerialExecutor
from airflow_provider_aiopt.exceptions import MissingExtraError
from airflow_provider_aiopt.spec import ImagePreprocessSpec
from airflow_provider_aiopt.stages.transforms.image import ImageTransform, decode_image

FILTERS = pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
FILES = sorted(path for path in PHOTOGRAPHS.iterdir() if path.suffix in (".jpg", ".png"))


def specs(**settings: Any) -> tuple[ImagePreprocessSpec, ImagePreprocessSpec]:
    return (
        ImagePreprocessSpec(resize_backend="pillow", **settings),
        ImagePreprocessSpec(resize_backend="torch", **settings),
    )


@pytest.fixture
def _torch() -> None:
    requires("torch", HOW)


@pytest.mark.usefixtures("_torch")
class TestTorch:
    @FILTERS
    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
    @pytest.mark.parametrize(("size", "fraction"), [(224, 0.875), (97, 1.0), (300, 0.5)])
    def test_photographs_differ_by_two_at_most(
        self, path: Path, interpolation: str, size: int, fraction: float
    ) -> None:
        exact, fast = (
            decode_image(path.read_bytes(), spec).astype(int)
            for spec in specs(size=size, crop_fraction=fraction, interpolation=interpolation)
        )
        assert fast.shape == (size, size, 3)
        assert np.abs(exact - fast).max() <= 2

    @given(
        width=st.integers(1, 60),
        height=st.integers(1, 60),
        size=st.integers(1, 50),
        interpolation=st.sampled_from(["bicubic", "bilinear"]),
        mode=st.sampled_from(["RGB", "L", "RGBA", "CMYK", "P", "1", "I;16"]),
    )
    def test_any_size_and_colour_space_has_the_same_geometry(
        self, width: int, height: int, size: int, interpolation: str, mode: str
    ) -> None:
        values = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
        if mode == "I;16":
            image = Image.fromarray(values[:, :, 0].astype(np.uint16) * 257)
        else:
            image = Image.fromarray(values).convert(mode)
        payload = encoded(image, "TIFF")
        exact, fast = (
            decode_image(payload, spec).astype(int)
            for spec in specs(size=size, crop_fraction=0.8, interpolation=interpolation)
        )
        assert np.abs(exact - fast).max() <= 3

    def test_no_thread_is_started_beside_the_decoding_ones(self) -> None:
        import torch

        counted: list[int] = []

        def decode() -> None:
            decode_image(FILES[0].read_bytes(), specs()[1])
            counted.append(torch.get_num_threads())

        before = torch.get_num_threads()
        thread = threading.Thread(target=decode)
        thread.start()
        thread.join()
        assert counted == [1]
        assert torch.get_num_threads() == before

    def test_the_backend_is_part_of_the_version(self) -> None:
        exact, fast = (ImageTransform(spec).version for spec in specs())
        assert "torch" not in exact
        assert fast.startswith(f"{exact}, torch ")


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    transform = ImageTransform(specs()[1])
    with pytest.raises(MissingExtraError, match=r"resize_backend 'torch' needs .*aiopt\[torch\]"):
        transform.prepare([FILES[0].read_bytes()], SerialExecutor())
