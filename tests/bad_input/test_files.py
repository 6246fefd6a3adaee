"""Odd names, links, files that may not be read or vanish: accounted for, whatever they are."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pipelines import Site

from airflow_provider_aiopt.runner import index

IMAGE = Image.new("RGB", (9, 9), (7, 8, 9))
NOBODY = 65534

AS_NOBODY = """
import os, sys
from airflow_provider_aiopt.cli.main import main

warm_up, real = sys.argv[1].split("\\n"), sys.argv[2].split("\\n")
assert main(warm_up) == 0  # imports everything while it may
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.exit(main(real))
"""


@pytest.mark.parametrize(
    "name",
    [
        "with space.png",
        " leading and trailing ",
        "new\nline.png",
        "tab\tand\rreturn.png",
        "\x1b[31mred.png",
        "日本語 ümläut 🙂.png",
        "e\u0301.png",
        "-dash.png",
        "#?%41&:;'\"`$*[].png",
        "back\\slash.png",
        "rich [bold]markup.png",
        "x" * 200,
        b"caf\xe9 \xff.png",
    ],
)
def test_names(site: Site, name: str | bytes, capsys: pytest.CaptureFixture[str]) -> None:
    site.add(name, IMAGE)
    site.add(os.fsencode(name) + b".bad", b"no image")
    outcome = site.run()
    printable = os.fsencode(name).decode("utf-8", "backslashreplace")

    assert outcome.colour(printable) == (7, 8, 9)
    assert outcome.rows[printable]["uri"] == f"file://{site.photos}/{printable}"
    assert outcome.bad[f"{printable}.bad"].error_class == "DecodeError"


def test_odd_names_can_be_shown(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_provider_aiopt.cli.main import main

    for name in ("a\nb.png", "\x1b[31mred.png", "[bold]x.png", b"\xff.png"):
        site.add(name, IMAGE)
        site.add(os.fsencode(name) + b".bad", b"no image")

    assert main(site.arguments()) == 0
    shown = capsys.readouterr().out
    for name in ("a\\nb.png", "\\x1b[31mred.png", "[bold]x.png", "\\xff.png"):
        assert name in shown
        assert f"{name}.bad" in shown
    assert "\x1b[31mred" not in shown


def test_the_same_bytes_twice_are_two_records(site: Site) -> None:
    site.add("a.png", IMAGE)
    site.add("b.png", IMAGE)
    outcome = site.run()

    assert list(outcome.rows) == ["a.png", "b.png"]
    assert outcome.rows["a.png"]["sha256"] == outcome.rows["b.png"]["sha256"]


def test_links_that_lead_out_of_the_root(site: Site) -> None:
    outside = site.folder / "outside"
    outside.mkdir()
    IMAGE.save(outside / "secret.png")
    site.add("good.png", IMAGE)
    (site.photos / "file.png").symlink_to(outside / "secret.png")
    (site.photos / "folder").symlink_to(outside)
    (site.photos / "dangling.png").symlink_to("nowhere.png")
    (site.photos / "within.png").symlink_to("good.png")
    outcome = site.run(source__recursive=True)

    assert list(outcome.rows) == ["good.png", "within.png"]
    assert {name: record.error_class for name, record in outcome.bad.items()} == {
        "file.png": "PathEscapeError",
        "folder": "PathEscapeError",
        "dangling.png": "RecordReadError",
    }
    assert f"leads out of the source's root {site.photos} to {outside}" in outcome.bad["folder"].message


def test_pipes_sockets_and_folders(site: Site) -> None:
    site.add("good.png", IMAGE)
    os.mkfifo(site.photos / "pipe")
    (site.photos / "sub").mkdir()
    (site.photos / "to-sub").symlink_to("sub")
    outcome = site.run()

    assert list(outcome.rows) == ["good.png"]
    assert set(outcome.bad) == {"pipe", "to-sub"}
    assert {record.error_class for record in outcome.bad.values()} == {"RecordReadError"}


@pytest.fixture
def public_site(site: Site) -> Iterator[Site]:
    """A site that everybody may write to.

    It lies outside the folder of pytest, which each start of pytest closes to all but its own user.
    """
    with tempfile.TemporaryDirectory(prefix="aiopt-tests-") as name:
        public = Site(Path(name), site.mode)
        for path in (public.folder, public.folder / "runs", public.folder / "runs" / "pipeline"):
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        yield public


def test_a_file_that_may_not_be_read(public_site: Site) -> None:
    site = public_site
    site.add("good.png", IMAGE)
    warm_up = site.arguments("warm-up")
    site.add("locked.png", IMAGE).chmod(0)

    command = [sys.executable, "-c", AS_NOBODY, "\n".join(warm_up), "\n".join(site.arguments("real"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    outcome = site.outcome("real")
    assert list(outcome.rows) == ["good.png"]
    assert outcome.bad["locked.png"].error_class == "RecordReadError"
    assert outcome.bad["locked.png"].message == "The file cannot be read: Permission denied"


def test_a_file_that_vanishes_after_the_listing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add_plain(3)
    listed = index.list_source

    def list_and_lose(*args: object, **options: object) -> object:
        found = listed(*args, **options)
        (site.photos / "001.png").unlink()
        return found

    monkeypatch.setattr(index, "list_source", list_and_lose)
    outcome = site.run()

    assert list(outcome.rows) == ["000.png", "002.png"]
    assert outcome.bad["001.png"].message == (
        "The file is gone: it was deleted after the listing, or its link is dangling"
    )


def test_an_empty_folder_may_be_welcome(site: Site) -> None:
    outcome = site.run(source__allow_empty=True)

    assert outcome.rows == outcome.bad == {}


def test_nothing_but_bad_records(site: Site) -> None:
    for number in range(5):
        site.add(f"{number}.png", b"no image")
    outcome = site.run(execution__shards=2)

    assert outcome.rows == {}
    assert len(outcome.bad) == 5
