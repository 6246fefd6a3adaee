from __future__ import annotations

from pathlib import Path

from debian_packages import names_of, parse_owners, parse_status


def test_owners() -> None:
    printed = (
        "libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6\n"
        "base-files, tzdata: /usr/share\n"
        "diversion by dash from: /bin/sh\n"
    )
    assert parse_owners(printed) == {"libc6:amd64", "base-files", "tzdata"}
    assert parse_owners("") == set()


def test_dpkg_may_know_a_path_by_its_name_before_usr_was_merged() -> None:
    assert names_of(Path("/usr/lib/libc.so.6")) == ["/usr/lib/libc.so.6", "/lib/libc.so.6"]
    assert names_of(Path("/etc/os-release")) == ["/etc/os-release"]


def test_status() -> None:
    fields = parse_status("Package: libc6\nVersion: 2.36-9\nDescription: GNU C\n a library\n .\n")
    assert fields == {"Package": "libc6", "Version": "2.36-9", "Description": "GNU C"}
