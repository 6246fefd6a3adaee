"""``aiopt preprocess``: what fast preprocessing changes."""

from __future__ import annotations

import argparse
import json
import sys

from airflow_provider_aiopt.cli.command import Command, CommandGroup, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode
from airflow_provider_aiopt.cli.numbers import count, share
from airflow_provider_aiopt.cli.options import ALLOW_CALLABLES, SET, SPEC, allowed_callables, read_spec
from airflow_provider_aiopt.cli.terminal import stdout_console

_COMPARE = """\
Prepare a sample of the source with the spec's fast settings (preprocess.resize_backend: torch,
preprocess.scaled_decode: true) and with the exact ones, run the model on both, and show how many first
answers stay the same, how far the scores and pixels are apart, and what an image costs either way.

Nothing is written.

exit codes: 0 enough answers are the same, 1 too few, or nothing to compare, 2 wrong usage
"""


def _compare(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.optimize.preprocess import compare_preprocessing
    from airflow_provider_aiopt.optimize.summary import comparison_table, comparison_values

    comparison = compare_preprocessing(
        read_spec(arguments.spec, arguments.set),
        sample=arguments.sample,
        seed=arguments.seed,
        resolver=arguments.resolver,
        allowed_callables=allowed_callables(arguments.allow_callables),
    )
    if arguments.json:
        sys.stdout.write(json.dumps(comparison_values(comparison), indent=2) + "\n")
    else:
        stdout_console().print(comparison_table(comparison))
    comparison.check(arguments.min_agreement)  # after the figures, which say by how much it fails
    return ExitCode.OK


GROUP = CommandGroup(
    name="preprocess",
    help="see what fast preprocessing changes",
    commands=(
        Command(
            name="compare",
            help="compare fast preprocessing with the exact one, behind an accuracy gate",
            description=_COMPARE,
            run=_compare,
            arguments=(
                SPEC,
                SET,
                argument(
                    "--sample",
                    type=count,
                    default=64,
                    metavar="N",
                    help="records to take from the source (default %(default)s)",
                ),
                argument(
                    "--seed",
                    type=int,
                    default=0,
                    metavar="N",
                    help="of the choice of records (default %(default)s)",
                ),
                argument(
                    "--min-agreement",
                    type=share,
                    default=0.98,
                    metavar="X",
                    help="share of the records that must have the same first answer, 0 to 1 "
                    "(default %(default)s)",
                ),
                ALLOW_CALLABLES,
                argument("--json", action="store_true", help="print JSON instead"),
            ),
        ),
    ),
)
"""The commands of ``aiopt preprocess``."""
