"""The benchmark of the time from an upload to the run that works on it."""

import sys

from benchmarks.paths import ROOT

# The supervised Airflow is a script of this repository, not a part of any package.
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))
