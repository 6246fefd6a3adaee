"""Commands declared as data, so that ``aiopt`` and ``airflow aiopt`` are built from one description."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_aiopt.data.folder import resolve_filesystem


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command.

    :param flags: option strings such as ``("-o", "--output")``, or one bare name for a positional argument
    :param options: keyword arguments of :meth:`argparse.ArgumentParser.add_argument`
    """

    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """A leaf command.

    :param name: what the user types
    :param help: one line for the list of commands
    :param run: called with the parsed arguments; returns the process's exit code
    :param arguments: its arguments in the order in which help shows them
    :param description: further lines for the command's own help
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int]
    arguments: tuple[Argument, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """A named group of commands, for example ``aiopt model``.

    :param name: what the user types
    :param help: one line for the list of commands
    :param commands: its members
    """

    name: str
    help: str
    commands: tuple[Command | CommandGroup, ...]


def argument(*flags: str, **options: Any) -> Argument:
    """Declare an argument with the signature of :meth:`argparse.ArgumentParser.add_argument`."""
    return Argument(flags=flags, options=options)


def add_to_parser(parser: argparse.ArgumentParser, commands: tuple[Command | CommandGroup, ...]) -> None:
    """Add *commands* as sub-commands of *parser*.

    The chosen one's ``run`` is left in ``namespace.run``, and beside it what it needs of its surroundings, as
    it is outside Airflow: ``namespace.resolver`` finds file systems by fsspec alone, and there is no
    ``namespace.configuration``.  Airflow puts in its own.
    """
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        if isinstance(command, CommandGroup):
            group = subparsers.add_parser(command.name, help=command.help, description=command.help)
            add_to_parser(group, command.commands)
            continue
        leaf = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.description or command.help,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for item in command.arguments:
            leaf.add_argument(*item.flags, **item.options)
        leaf.set_defaults(run=command.run, resolver=resolve_filesystem, configuration=None)
