from __future__ import annotations

import subprocess
import sys


def test_a_process_ends_although_threads_are_stuck() -> None:
    program = (
        "import threading\n"
        "from airflow_provider_aiopt.data.limited import LimitedThreads\n"
        "pool = LimitedThreads(2, limit_s=0.05, substitute=lambda: 'given up', max_stuck=9)\n"
        "print(list(pool.map(lambda _: threading.Event().wait(), range(3))))\n"
        "pool.shutdown()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "['given up', 'given up', 'given up']\n"
