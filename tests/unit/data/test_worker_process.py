"""How a process ended, in words; processes themselves are tests/faults'."""

from __future__ import annotations

import pytest

from airflow_provider_aiopt.data.worker_process import described_exit


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "ended with exit code 0"),
        (7, "ended with exit code 7"),
        (-11, "was killed by SIGSEGV"),
        (-9, "was killed by SIGKILL, as the kernel does where memory runs out"),
        (-99, "was killed by signal 99"),
    ],
)
def test_the_end_of_a_process_is_told(code: int, said: str) -> None:
    assert described_exit(code) == said
