from __future__ import annotations

import pytest
from build_images import entries, find_engine, platforms, selected

TEXT = """\
# Made from something
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
async-timeout==5.0.1 ; python_full_version < '3.11.3' \\
    --hash=sha256:dd
pywin32==312 ; sys_platform == 'win32' \\
    --hash=sha256:ee
onnxruntime-gpu[cuda]==1.31.1 \\
    --hash=sha256:ff
"""


def test_requirements_are_read_with_their_hashes() -> None:
    assert [(need.name, hashes) for need, hashes in entries(TEXT)][:2] == [
        ("numpy", "--hash=sha256:aa --hash=sha256:bb"),
        ("numpy", "--hash=sha256:cc"),
    ]


def test_markers_are_judged_by_the_image_not_by_this_machine() -> None:
    assert selected(TEXT, "3.11", "x86_64") == (
        "numpy==2.4.6 --hash=sha256:aa --hash=sha256:bb\n"
        "async-timeout==5.0.1 --hash=sha256:dd\n"
        "onnxruntime-gpu==1.31.1 --hash=sha256:ff\n"
    )
    assert selected(TEXT, "3.12", "x86_64").startswith("numpy==2.5.5 ")
    assert "async-timeout" not in selected(TEXT, "3.12", "x86_64")


def test_no_wheel_is_for_a_newer_system_than_the_base_image() -> None:
    names = platforms("aarch64")
    assert "manylinux_2_36_aarch64" in names
    assert "manylinux_2_37_aarch64" not in names
    assert "manylinux2014_aarch64" in names


def test_an_engine_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="Neither docker nor podman is installed here"):
        find_engine(None)
    with pytest.raises(
        SystemExit, match=r"nerdctl is not installed here\. On Debian: apt-get install podman"
    ):
        find_engine("nerdctl")
