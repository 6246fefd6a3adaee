"""What ``scripts/measure_page_load.py`` puts into an Airflow's database."""

from __future__ import annotations

from typing import Final

WIDE: Final = "wide"
"""The run that has been mapped over many shards."""
