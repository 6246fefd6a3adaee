"""Predicted and measured makespans of a real Airflow."""

from __future__ import annotations

import sys

from benchmarks.paths import ROOT

if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))
