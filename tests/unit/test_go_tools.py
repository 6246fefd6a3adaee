from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from go_tools import go_environment, last_line, unpack_toolchain, version_of

TOP = "golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.19.8 linux/amd64", (1, 19, 8)),
        ("go version go1.26 linux/amd64", (1, 26, 0)),
        ("go1.26.0", (1, 26, 0)),
    ],
)
def test_versions_are_numbers(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


def test_a_newer_go_is_newer_with_two_digits() -> None:
    assert version_of("go1.9.7") < version_of("go1.19.8") < version_of("go1.26.0")


def test_what_names_no_version_is_no_version() -> None:
    with pytest.raises(ValueError, match="no version of Go is named in 'gopher'"):
        version_of("gopher")


def test_a_toolchain_becomes_an_installation(tmp_path: Path) -> None:
    archive, root = tmp_path / "toolchain.zip", tmp_path / "tools" / "go1.26.0"
    with zipfile.ZipFile(archive, "w") as files:
        for name in (
            "bin/go",
            "pkg/tool/linux_amd64/compile",
            "src/_go.mod",
            "src/cmd/_go.mod",
            "src/fmt/print.go",
        ):
            files.writestr(f"{TOP}/{name}", name)

    unpack_toolchain(archive, root)

    assert os.access(root / "bin" / "go", os.X_OK)
    assert os.access(root / "pkg" / "tool" / "linux_amd64" / "compile", os.X_OK)
    assert not (root / "src" / "fmt" / "print.go").stat().st_mode & 0o111
    assert (root / "src" / "go.mod").read_text() == "src/_go.mod"
    assert (root / "src" / "cmd" / "go.mod").exists()
    assert list(root.parent.iterdir()) == [root]


def test_go_gets_no_settings_of_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOROOT", "/elsewhere")
    monkeypatch.setenv("GOPROXY", "https://proxy.example.org")

    environment = go_environment({"GOBIN": "/bin"})

    assert "GOROOT" not in environment
    assert environment["GOPROXY"] == "https://proxy.example.org"
    assert (environment["GOTOOLCHAIN"], environment["GOBIN"]) == ("local", "/bin")


def test_the_last_line_names_the_error() -> None:
    assert last_line("go: downloading\ngo: no such module\n") == "go: no such module"
    assert last_line("") == "it said nothing"
