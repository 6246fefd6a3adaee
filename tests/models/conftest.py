"""Tests of the real models: they need torch, and the first run exports for a minute or two."""

from __future__ import annotations

from model_fixtures import efficientnet_lite0_fp32, efficientnet_lite0_int8, minilm_l6_v2

__all__ = ["efficientnet_lite0_fp32", "efficientnet_lite0_int8", "minilm_l6_v2"]
