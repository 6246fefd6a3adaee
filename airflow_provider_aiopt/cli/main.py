"""The entry point of ``aiopt``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_aiopt import __version__
from airflow_provider_aiopt.cli import (
    compare,
    doctor,
    model,
    preprocess,
    profile,
    report,
    run,
    setup,
    simulate,
    spec,
    stage,
    tune,
    uploads,
    watch,
)
from airflow_provider_aiopt.cli.command import Command, CommandGroup, add_to_parser
from airflow_provider_aiopt.cli.exit_codes import guarded

COMMANDS: tuple[Command | CommandGroup, ...] = (
    run.COMMAND,
    stage.COMMAND,
    report.COMMAND,
    compare.COMMAND,
    simulate.COMMAND,
    tune.COMMAND,
    spec.GROUP,
    preprocess.GROUP,
    model.GROUP,
    setup.COMMAND,
    doctor.COMMAND,
    profile.GROUP,
    uploads.GROUP,
    watch.COMMAND,
)
"""Every command; ``airflow aiopt`` offers the same."""

DESCRIPTION = "Run AI pipelines and see where their time goes."
EPILOG = (
    "Exit codes: 0 success, 1 failure (the message says what to do), 2 wrong usage; of 'stage' also 3, a "
    "failure that would come again; of 'model' also 3, a model that differs too much; of 'compare' also 4 "
    "worse, 5 inconclusive."
)


def make_parser() -> argparse.ArgumentParser:
    """Build the command line's parser."""
    parser = argparse.ArgumentParser(prog="aiopt", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"aiopt {__version__}")
    add_to_parser(parser, COMMANDS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :param argv: the arguments after the program's name; default: the process's own
    :returns: the exit code
    """
    arguments = make_parser().parse_args(argv)
    return guarded(arguments.run, arguments)
