from __future__ import annotations

from model_fixtures import efficientnet_lite0_fp32

__all__ = ["efficientnet_lite0_fp32"]
