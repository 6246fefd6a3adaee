"""The two models that the benchmarks run."""

from __future__ import annotations

from benchmarks.paths import CACHE

INT8 = "builtin:efficientnet-lite0-int8"


def fp32_model() -> str:
    """Return the model folder of EfficientNet-Lite0 in FP32, exporting it where it is not there yet."""
    folder = CACHE / "efficientnet_lite0"
    if not (folder / "model.json").is_file():
        from airflow_provider_aiopt.optimize.export import export_model

        folder.parent.mkdir(parents=True, exist_ok=True)
        export_model("efficientnet-lite0", folder)
    return str(folder)
