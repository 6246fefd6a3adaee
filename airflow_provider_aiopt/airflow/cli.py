"""The commands of ``aiopt`` as ``airflow aiopt ...``.

Airflow asks for them at every call of ``airflow``, so nothing heavy may be imported here.  Airflow 3.1 asks
no provider for commands: there only ``aiopt`` itself is to be had.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.cli.command import Argument, Command, CommandGroup

if TYPE_CHECKING:
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

_STDOUT, _STDERR = 1, 2  # descriptors


def get_aiopt_cli_commands() -> list[GroupCommand]:
    """Return the command group that Airflow adds to its own command line."""
    from airflow_provider_aiopt.cli.main import COMMANDS, DESCRIPTION, EPILOG

    whole = CommandGroup("aiopt", "Run AI pipelines and see where their time goes", COMMANDS)
    return [_group(whole)._replace(description=DESCRIPTION, epilog=EPILOG)]


def _group(group: CommandGroup) -> GroupCommand:
    from airflow.cli.cli_config import GroupCommand

    members = tuple(
        _group(item) if isinstance(item, CommandGroup) else _action(item) for item in group.commands
    )
    return GroupCommand(name=group.name, help=group.help, subcommands=members)


def _action(command: Command) -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand

    def func(arguments: argparse.Namespace) -> None:
        sys.exit(_run(command, arguments))  # Airflow itself drops what a command returns

    return ActionCommand(
        name=command.name,
        help=command.help,
        description=command.description or None,
        func=func,
        args=tuple(map(_arg, command.arguments)),
    )


def _arg(argument: Argument) -> Arg:
    from airflow.cli.cli_config import Arg

    arg: Arg = Arg(flags=argument.flags)  # type: ignore[no-untyped-call]
    arg.kwargs.update(argument.options)  # the constructor knows only some of argparse's options
    return arg


def _run(command: Command, arguments: argparse.Namespace) -> int:
    """Run a command as this Airflow's own: with its work folder, its connections and its configuration."""
    from airflow_provider_aiopt.airflow.config import AirflowConfiguration, option, uploads_dir
    from airflow_provider_aiopt.airflow.deployment import AirflowDeployment
    from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
    from airflow_provider_aiopt.cli.exit_codes import guarded

    _reserve_stdout()
    if getattr(arguments, "work_dir", "") is None:
        arguments.work_dir = option("work_dir")
    if getattr(arguments, "uploads_dir", "") is None:
        arguments.uploads_dir = uploads_dir()
    if getattr(arguments, "allow_callables", ()) is None:
        arguments.allow_callables = [option("allowed_callables")]
    arguments.resolver = resolve_with_connection
    arguments.configuration = AirflowConfiguration()
    arguments.deployment = AirflowDeployment()
    return guarded(command.run, arguments)


def _reserve_stdout() -> None:
    """Give standard output to the command alone, since a program may read it; logs go to standard error."""
    import structlog

    if sys.stdout is not sys.__stdout__:  # somebody collects it already
        return
    # Loggers that have it open write to its descriptor, which from here on leads to standard error.
    sys.__stdout__.flush()
    own = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    sys.stdout = os.fdopen(own, "w", encoding="utf-8")
    # Those that are made later look for it then.
    make_logger = structlog.get_config()["logger_factory"]

    def make_logger_of_stderr(*arguments: Any) -> Any:
        with redirect_stdout(sys.stderr):
            return make_logger(*arguments)

    structlog.configure(logger_factory=make_logger_of_stderr)
