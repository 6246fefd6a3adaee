"""Where the benchmarks keep what they make."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
TRIES = CACHE / "tries"
RESULTS = ROOT / "benchmarks" / "results"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PHOTOGRAPHS = ROOT / "examples" / "photographs"
