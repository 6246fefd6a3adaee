from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_aiopt.doctor.probe import identify, mapped_libraries

MAPS = """\
55d0c5e00000-55d0c5e01000 r--p 00000000 fe:00 1234     /usr/bin/python3.11
7f0000000000-7f0000001000 r-xp 00000000 fe:00 1235     /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000001000-7f0000002000 rw-p 00001000 fe:00 1235     /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000002000-7f0000003000 rw-p 00000000 00:00 0
7f0000003000-7f0000004000 r-xp 00000000 fe:00 1236     /a b/torch.libs/libgomp-a34b3233.so.1.0.0
7f0000004000-7f0000005000 r-xp 00000000 fe:00 1237     /x/_multiarray.cpython-311-x86_64-linux-gnu.so
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0        [stack]
"""


def test_libraries_are_told_from_the_rest_of_a_process_memory() -> None:
    assert mapped_libraries(MAPS.splitlines()) == [
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/a b/torch.libs/libgomp-a34b3233.so.1.0.0",
    ]


@pytest.mark.parametrize(
    ("name", "family", "version"),
    [
        ("libgomp-a34b3233.so.1.0.0", "libgomp", "1.0.0"),
        ("libcudnn_ops.so.9", "libcudnn_ops", "9"),
        ("libonnxruntime.so.1.32.0", "libonnxruntime", "1.32.0"),
        ("libtorch_cpu.so", "libtorch_cpu", None),
        ("libstdc++.so.6.0.30", "libstdc++", "6.0.30"),
        ("libpython3.11.so.1.0", "libpython3.11", "1.0"),
    ],
)
def test_names_and_versions_of_libraries(name: str, family: str, version: str | None) -> None:
    found = identify(f"/nowhere/{name}")
    assert (found.family, found.version, found.path) == (family, version, f"/nowhere/{name}")


def test_a_link_leads_to_the_version(tmp_path: Path) -> None:
    (tmp_path / "libcudnn.so.9.26.0").touch()
    (tmp_path / "libcudnn.so.9").symlink_to("libcudnn.so.9.26.0")
    found = identify(str(tmp_path / "libcudnn.so.9"))
    assert (found.version, found.path) == ("9.26.0", str(tmp_path / "libcudnn.so.9.26.0"))
