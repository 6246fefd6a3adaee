from __future__ import annotations

from pathlib import Path

import pytest
from image_root import MissingLibraryError, copy_with_links, is_elf, link_copies, linked_libraries, trim

ROOT = Path("/image")
LDD = """\
/image/opt/venv/lib/python3.11/site-packages/PIL/_imaging.so:
\tlinux-vdso.so.1 (0x00007ffc)
\tlibjpeg-1.so.62 => /image/opt/venv/lib/python3.11/site-packages/pillow.libs/libjpeg-1.so.62 (0x00007f)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)
/image/opt/venv/bin/static:
\tstatically linked
"""


def test_what_ldd_says_is_read() -> None:
    expected = {Path("/lib/x86_64-linux-gnu/libc.so.6"), Path("/lib64/ld-linux-x86-64.so.2")}
    assert linked_libraries(LDD, ROOT) == expected


def test_a_library_that_is_nowhere_fails_the_build() -> None:
    with pytest.raises(MissingLibraryError, match=r"would lack libgomp\.so\.1,"):
        linked_libraries(LDD + "\tlibgomp.so.1 => not found\n", ROOT)


def test_the_driver_comes_from_the_node() -> None:
    linked_libraries(LDD + "\tlibcuda.so.1 => not found\n\tlibnvinfer.so.10 => not found\n", ROOT)


def test_a_file_is_copied_with_the_links_to_it(tmp_path: Path) -> None:
    system = tmp_path / "usr" / "lib"
    system.mkdir(parents=True)
    (system / "libx.so.1.2").write_bytes(b"\x7fELF")
    (system / "libx.so.1").symlink_to("libx.so.1.2")
    (tmp_path / "lib").symlink_to("usr/lib")  # a merged /usr

    copied = list(copy_with_links(tmp_path / "lib" / "libx.so.1", tmp_path / "root"))

    assert copied == [system / "libx.so.1.2"]
    below = tmp_path / "root" / system.relative_to("/")
    assert (below / "libx.so.1").readlink() == Path("libx.so.1.2")
    assert (below / "libx.so.1").read_bytes() == b"\x7fELF"


def test_copies_of_a_library_become_links(tmp_path: Path) -> None:
    for name in ("liba.so", "liba.so.26", "liba.so.26.1"):
        (tmp_path / name).write_bytes(b"a")
    (tmp_path / "libb.so").write_bytes(b"b")

    link_copies(tmp_path)

    links = {path.name: str(path.readlink()) for path in tmp_path.iterdir() if path.is_symlink()}
    assert links == {"liba.so": "liba.so.26.1", "liba.so.26": "liba.so.26.1"}
    assert (tmp_path / "liba.so").read_bytes() == b"a"


def test_trimming_keeps_the_records_true(tmp_path: Path) -> None:
    for name in ("x/__init__.py", "x/tests/test_a.py", "x-1.dist-info/RECORD"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "x-1.dist-info/RECORD").write_text("x/__init__.py,,\nx/tests/test_a.py,,\n")

    trim(tmp_path)

    assert (tmp_path / "x-1.dist-info/RECORD").read_text() == "x/__init__.py,,\n"
    assert not (tmp_path / "x/tests").exists()


def test_programs_are_told_from_scripts(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\x02")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "link").symlink_to("program")
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_elf(path)] == ["program"]
