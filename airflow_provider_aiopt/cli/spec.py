"""``aiopt spec``: check a pipeline spec, or print its JSON Schema."""

from __future__ import annotations

import argparse
import json
import sys

from airflow_provider_aiopt.cli.command import Command, CommandGroup, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode


def _check(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.spec.loading import load_spec

    spec = load_spec(arguments.spec)
    sys.stdout.write(spec.to_yaml() if arguments.show else f"{arguments.spec}: ok\n")
    return ExitCode.OK


def _schema(_: argparse.Namespace) -> int:
    from airflow_provider_aiopt.spec.loading import spec_json_schema

    sys.stdout.write(json.dumps(spec_json_schema(), indent=2) + "\n")
    return ExitCode.OK


GROUP = CommandGroup(
    name="spec",
    help="check pipeline specs and print their schema",
    commands=(
        Command(
            name="check",
            help="check a spec and name every fault in it",
            run=_check,
            arguments=(
                argument("spec", metavar="SPEC", help="YAML or JSON file"),
                argument("--show", action="store_true", help="print the spec with every default filled in"),
            ),
        ),
        Command(name="schema", help="print the JSON Schema of specs, for editors", run=_schema),
    ),
)
