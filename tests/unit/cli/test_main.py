from __future__ import annotations

import argparse

import pytest

from airflow_provider_aiopt import __version__
from airflow_provider_aiopt.cli.command import Command, CommandGroup, add_to_parser, argument
from airflow_provider_aiopt.cli.main import COMMANDS, main, make_parser
from airflow_provider_aiopt.data.folder import resolve_filesystem


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "--version") == (0, f"aiopt {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [(), ("dance",), ("run",), ("spec",), ("report", "x", "--nope")], ids=str
)
def test_wrong_usage_shows_the_right_one(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = ended(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: aiopt")


def leaves(commands: tuple[Command | CommandGroup, ...], *path: str) -> list[tuple[str, ...]]:
    found = []
    for command in commands:
        inner = (*path, command.name)
        found += leaves(command.commands, *inner) if isinstance(command, CommandGroup) else [inner]
    return found


@pytest.mark.parametrize("path", leaves(COMMANDS), ids=" ".join)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], path: tuple[str, ...]) -> None:
    code, out, _ = ended(capsys, *path, "--help")
    assert code == 0
    assert out.startswith(f"usage: aiopt {' '.join(path)}")
    assert all(len(line) <= 120 for line in out.splitlines())


def test_groups_may_be_nested_and_the_chosen_command_is_run() -> None:
    command = Command("leaf", "help", lambda arguments: arguments.count, (argument("--count", type=int),))
    group = CommandGroup("outer", "help", (CommandGroup("inner", "help", (command,)),))
    parser = argparse.ArgumentParser()
    add_to_parser(parser, (group,))

    parsed = parser.parse_args(["outer", "inner", "leaf", "--count", "3"])

    assert parsed.run(parsed) == 3
    assert parsed.resolver is resolve_filesystem


def test_the_parser_says_what_exit_codes_mean() -> None:
    assert "0 success, 1 failure (the message says what to do), 2 wrong usage" in make_parser().format_help()
