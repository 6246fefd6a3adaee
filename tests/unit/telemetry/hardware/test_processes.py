from __future__ import annotations

import pytest
from kernel_files import PAGE_BYTES, TICKS_PER_S, KernelFiles

from airflow_provider_aiopt.telemetry.hardware.processes import ProcessTree
from airflow_provider_aiopt.telemetry.hardware.reading import ProcessUse


def test_a_process_is_added_up_with_its_descendants(files: KernelFiles) -> None:
    files.process(10, ticks=(100, 20, 3, 4), pages=5, children=(20, 30), disk=(4096, 100))
    files.process(20, ticks=(1000, 0, 0, 0), pages=7, children=(40,), disk=(0, 10))
    files.process(30, pages=1, disk=(1, 0))
    files.process(40, ticks=(0, 200, 0, 0), disk=(0, 5))
    files.process(50, ticks=(9999, 0, 0, 0), pages=99, disk=(9999, 9999))

    assert ProcessTree(files.root, 10).read() == ProcessUse(
        cpu_s=pytest.approx(1327 / TICKS_PER_S),
        memory_bytes=13 * PAGE_BYTES,
        read_bytes=4097,
        write_bytes=115,
    )


def test_a_name_may_hold_spaces_and_brackets(files: KernelFiles) -> None:
    files.process(10, name="a) S 1 (b", ticks=(TICKS_PER_S, 0, 0, 0), pages=1)

    use = ProcessTree(files.root, 10).read()

    assert (use.cpu_s, use.memory_bytes) == (1.0, PAGE_BYTES)


def test_a_child_that_has_just_ended_is_left_out(files: KernelFiles) -> None:
    files.process(10, ticks=(TICKS_PER_S, 0, 0, 0), children=(20,), disk=(1, 2))

    assert ProcessTree(files.root, 10).read() == ProcessUse(1.0, 0, 1, 2)


def test_transfers_that_may_not_be_read_are_not_known(files: KernelFiles) -> None:
    files.process(10, pages=1, disk=None)

    use = ProcessTree(files.root, 10).read()

    assert (use.memory_bytes, use.read_bytes, use.write_bytes) == (PAGE_BYTES, None, None)


def test_without_proc_nothing_is_known(files: KernelFiles) -> None:
    assert ProcessTree(files.root, 10).read() == ProcessUse()


def test_this_process_is_read_by_default() -> None:
    use = ProcessTree().read()

    assert use.cpu_s is not None
    assert use.memory_bytes is not None
    assert use.memory_bytes > 1024 * 1024
