"""``aiopt uploads``: see which run has which upload, give claims back, forget old ones."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.cli.command import Argument, Command, CommandGroup, argument
from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain
from airflow_provider_aiopt.cli.report import default_work_dir
from airflow_provider_aiopt.cli.terminal import one_line, stdout_console

if TYPE_CHECKING:
    from airflow_provider_aiopt.uploads.claims import Claim
    from airflow_provider_aiopt.uploads.state import UploadState

Chosen = Iterator[tuple[str, "UploadState", "Claim"]]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")

_LIST = """\
Show the claims: which run of which DAG has which version of which object.

exit codes: 0 listed, also where there is none; 1 the state cannot be read; 2 wrong usage
"""
_RELEASE = """\
Give claims back. Their uploads are offered again, and the DAG may run for them once more; whoever watches
the location notices within seconds. To repeat the same run, clear it or its tasks in Airflow instead.

exit codes: 0 released, 1 no claim is of that run or object, or the state cannot be written, 2 wrong usage
"""
_PRUNE = """\
Remove the files of old claims. Their keys are kept, 16 bytes each, so that no upload runs again.

exit codes: 0 pruned, also where there was nothing to, 1 the state cannot be written, 2 wrong usage
"""


def _list(arguments: argparse.Namespace) -> int:
    chosen = [(watch, claim) for watch, _, claim in _chosen(arguments)]
    chosen.sort(key=lambda item: item[1].claimed_at)
    if arguments.json:
        _print_json([_values(watch, claim) for watch, claim in chosen])
    else:
        _print_table(chosen)
    return ExitCode.OK


def _release(arguments: argparse.Namespace) -> int:
    if arguments.run_id is None and arguments.uri is None:
        complain("uploads release: say what is to be released with --run-id, --uri or both")
        return ExitCode.USAGE
    released = []
    for watch, state, claim in _chosen(arguments):
        state.release(claim)
        released.append(_values(watch, claim))
    if not released:
        wanted = " and ".join(filter(None, [arguments.run_id, arguments.uri]))
        complain(
            f"uploads release: there is no claim of {wanted} in {_where(arguments)}. See 'aiopt uploads "
            "list'; claims that were pruned cannot be released"
        )
        return ExitCode.FAILURE
    if arguments.json:
        _print_json(released)
    else:
        sys.stdout.write("".join(f"released {claim['uri']} of {claim['run_id']}\n" for claim in released))
    return ExitCode.OK


def _prune(arguments: argparse.Namespace) -> int:
    from airflow_provider_aiopt.uploads.payloads import prune_lists
    from airflow_provider_aiopt.uploads.pruning import prune

    before = time.time() - arguments.older_than
    consumers = None if arguments.consumer is None else [arguments.consumer]
    pruned = {}
    for watch, state in _states(arguments).items():
        pruned[watch] = prune(state.claims, before=before, consumers=consumers)
        if consumers is None:  # another DAG may have to read them still
            prune_lists(state, before=before)
    if arguments.json:
        _print_json({"pruned": pruned})
    else:
        sys.stdout.write(f"pruned {sum(pruned.values())} claims\n")
    return ExitCode.OK


def _chosen(arguments: argparse.Namespace) -> Chosen:
    """Yield the claims that the arguments choose, each with its watch."""
    wanted: list[Callable[[Claim], bool]] = []
    if arguments.run_id is not None:
        wanted.append(lambda claim: claim.run_id == arguments.run_id)
    if arguments.uri is not None:
        wanted.append(lambda claim: claim.uri == arguments.uri)
    for watch, state in _states(arguments).items():
        consumers: Iterable[str] = state.claims.consumers()
        if arguments.consumer is not None:
            consumers = [arguments.consumer]
        for consumer in consumers:
            for claim in state.claims.all(consumer):
                if all(test(claim) for test in wanted):
                    yield watch, state, claim


def _states(arguments: argparse.Namespace) -> dict[str, UploadState]:
    from airflow_provider_aiopt.exceptions import StorageError
    from airflow_provider_aiopt.uploads.state import all_states

    states = all_states(_where(arguments), resolver=arguments.resolver)
    if arguments.watch is None:
        return states
    if arguments.watch in states:
        return {arguments.watch: states[arguments.watch]}
    found = {
        watch: state for watch, state in states.items() if state.description().get("uri") == arguments.watch
    }
    if not found:
        raise StorageError(
            f"{_where(arguments)} has no watch {arguments.watch!r}; it has {', '.join(states) or 'none'}. "
            "Give a watch's id or the location's URI, and --uploads-dir where the claims lie elsewhere"
        )
    return found


def _where(arguments: argparse.Namespace) -> str:
    given = arguments.uploads_dir or os.environ.get("AIRFLOW__AIOPT__UPLOADS_DIR")
    if given:
        return str(given).rstrip("/")
    work_dir = os.environ.get("AIRFLOW__AIOPT__WORK_DIR") or default_work_dir()
    return f"{work_dir.rstrip('/')}/uploads"


def _values(watch: str, claim: Claim) -> dict[str, Any]:
    from airflow_provider_aiopt.uploads.claims import claim_values

    return {"watch": watch, **claim_values(claim)}


def _print_json(values: object) -> None:
    sys.stdout.write(f"{json.dumps(values, indent=2)}\n")


def _print_table(chosen: list[tuple[str, Claim]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from airflow_provider_aiopt.data.records import printable

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0, caption_justify="left")
    table.caption = Text(f"{len(chosen)} claims")
    for title in ("Claimed (UTC)", "DAG", "Run", "Bytes", "Object"):
        table.add_column(title, justify="right" if title == "Bytes" else "left", overflow="fold")
    for _, claim in chosen:
        claimed = datetime.fromtimestamp(claim.claimed_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        shown = (claimed, claim.consumer, claim.run_id, str(claim.size), printable(claim.uri))
        table.add_row(*(Text(one_line(cell)) for cell in shown))
    stdout_console().print(table)


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90m, 12h or 30d")
    return float(match[1]) * _UNITS[match[2]]


def _common(arguments: Iterable[Argument]) -> tuple[Argument, ...]:
    return (
        *arguments,
        argument("--watch", metavar="WATCH", help="only this watch: its id or its location's URI"),
        argument("--consumer", metavar="DAG_ID", help="only the claims of this DAG"),
        argument("--json", action="store_true", help="print JSON for programs"),
        argument(
            "--uploads-dir",
            metavar="DIR",
            help="where the claims lie; $AIRFLOW__AIOPT__UPLOADS_DIR or uploads in the work dir by default",
        ),
    )


_CHOICE = (
    argument("--run-id", metavar="RUN_ID", help="only what this run has"),
    argument("--uri", metavar="URI", help="only versions of this object"),
)

GROUP = CommandGroup(
    name="uploads",
    help="see, give back and prune the claims on uploads",
    commands=(
        Command(
            name="list",
            help="show which run has which upload",
            description=_LIST,
            run=_list,
            arguments=_common(_CHOICE),
        ),
        Command(
            name="release",
            help="give claims back, so that their uploads are offered again",
            description=_RELEASE,
            run=_release,
            arguments=_common(_CHOICE),
        ),
        Command(
            name="prune",
            help="remove the files of old claims and keep their keys",
            description=_PRUNE,
            run=_prune,
            arguments=_common(
                [
                    argument(
                        "--older-than",
                        metavar="DURATION",
                        type=_duration,
                        required=True,
                        help="claims older than this, such as 90m, 12h or 30d",
                    )
                ]
            ),
        ),
    ),
)
