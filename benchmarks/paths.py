"""Where the benchmarks keep what they make."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
RESULTS = ROOT / "benchmarks" / "results"
PHOTOGRAPHS = ROOT / "examples" / "photographs"
