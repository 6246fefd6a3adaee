"""What an expert would try for each tuned peer on two cores; the benchmark takes the fastest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CANDIDATES: Mapping[str, tuple[dict[str, Any], ...]] = {
    "dataloader_tuned": (
        {"workers": 2, "threads": 2, "spinning": False},
        {"workers": 2, "threads": 2, "spinning": True},
        {"workers": 2, "threads": 1},
        {"workers": 1, "threads": 2, "spinning": False},
        {"workers": 1, "threads": 1},
        {"workers": 2, "threads": 2, "spinning": False, "batch_size": 8},
    ),
    "daft_tuned": (
        {"threads": 2, "spinning": False},
        {"threads": 2, "spinning": True},
        {"threads": 1},
        {"threads": 1, "instances": 2},
        {"threads": 2, "spinning": False, "batch_size": 8},
    ),
    "ray_data_tuned": (
        {"threads": 1, "actor_cpus": 1},
        {"threads": 2, "spinning": False, "actor_cpus": 1},
        {"threads": 1, "actor_cpus": 0.5},
        {"threads": 1, "actor_cpus": 0.5, "actors": 2},
        {"threads": 1, "actor_cpus": 0.5, "actors": 2, "decode_cpus": 0.5, "batch_size": 8},
    ),
}
