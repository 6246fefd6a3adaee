from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.cli.cli_config import ActionCommand, GroupCommand
from airflow.cli.cli_parser import _add_command

from airflow_provider_aiopt.airflow.cli import get_aiopt_cli_commands
from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
from airflow_provider_aiopt.cli.command import Command, CommandGroup
from airflow_provider_aiopt.cli.main import COMMANDS, make_parser
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.run_report import write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report


def airflow_parser() -> argparse.ArgumentParser:
    """Airflow's own way from commands to a parser."""
    parser = argparse.ArgumentParser("airflow")
    subparsers = parser.add_subparsers()
    for command in get_aiopt_cli_commands():
        _add_command(subparsers, command)
    return parser


def airflow(*arguments: str) -> int:
    parsed = airflow_parser().parse_args(["aiopt", *arguments])
    with pytest.raises(SystemExit) as ended:
        parsed.func(parsed)
    return int(ended.value.code or 0)


def names(commands: Any) -> dict[str, Any]:
    return {
        command.name: names(command.commands) if isinstance(command, CommandGroup) else command
        for command in commands
    }


def test_the_same_commands_in_the_same_groups() -> None:
    def compare(ours: CommandGroup | Command, theirs: GroupCommand | ActionCommand) -> None:
        assert (theirs.name, theirs.help) == (ours.name, ours.help)
        if isinstance(ours, CommandGroup):
            for pair in zip(ours.commands, theirs.subcommands, strict=True):
                compare(*pair)

    (group,) = get_aiopt_cli_commands()
    assert group.name == "aiopt"
    for pair in zip(COMMANDS, group.subcommands, strict=True):
        compare(*pair)


@pytest.mark.parametrize(
    "line",
    [
        "run spec.yaml --set a.b=1 --set c=2 --work-dir w --run-id i --show 3 --json --statsd h:1",
        "run spec.yaml --allow-callables p --allow-callables q",
        "run spec.yaml",
        "report dag/run --csv",
        "report dag/run --csv f.csv --plot a.png --plot b.svg --json",
        "spec check s.yaml --show",
        "spec schema",
        "model list --json",
        "setup --check --set gpu_pool_slots=2 --json --airflow-url u --airflow-token t",
        "doctor --profile low-latency --json --airflow-username u --airflow-password p",
        "profile list --json",
        "profile show throughput --format helm",
    ],
)
def test_arguments_are_parsed_alike(line: str) -> None:
    def values(parsed: argparse.Namespace) -> dict[str, Any]:
        own = ("run", "func", "resolver", "configuration", "subcommand")
        return {key: value for key, value in vars(parsed).items() if key not in own}

    ours = make_parser().parse_args(line.split())
    theirs = airflow_parser().parse_args(["aiopt", *line.split()])
    assert values(theirs) == values(ours)


def test_it_prints_and_ends_as_aiopt_does(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert airflow("spec", "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "PipelineSpec"

    (tmp_path / "spec.yaml").write_text("model: {}")
    assert airflow("spec", "check", str(tmp_path / "spec.yaml")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("aiopt: The pipeline spec ")
    assert "source: missing" in err


def test_a_run_is_looked_for_in_airflows_work_dir(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path))
    write_stage_report(Folder.open(str(tmp_path / "dag" / "run")), make_stage_report())

    assert airflow("report", "dag/run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == "run"

    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "other"))
    assert airflow("report", "dag/run") == 1
    assert airflow("report", "dag/run", "--work-dir", str(tmp_path)) == 0


def test_commands_find_file_systems_through_airflows_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[argparse.Namespace] = []
    monkeypatch.setenv("AIRFLOW__AIOPT__ALLOWED_CALLABLES", "pkg.datasets")
    (group,) = get_aiopt_cli_commands()
    command = next(item for item in COMMANDS if item.name == "run")
    monkeypatch.setattr(
        "airflow_provider_aiopt.cli.exit_codes.guarded", lambda run, arguments: seen.append(arguments) or 7
    )
    assert airflow("run", "spec.yaml") == 7
    assert seen[0].resolver is resolve_with_connection
    assert seen[0].configuration.get("aiopt", "allowed_callables") == "pkg.datasets"
    assert seen[0].work_dir == "runs", "as aiopt run, not where Airflow's own runs are"
    assert seen[0].allow_callables == ["pkg.datasets"], "what the deployment allows"
    assert airflow("run", "spec.yaml", "--allow-callables", "mine") == 7
    assert seen[1].allow_callables == ["mine"]
    assert command.name in {item.name for item in group.subcommands}


def test_log_lines_stay_out_of_what_programs_read() -> None:
    program = """
import argparse, logging, structlog, sys
from airflow_provider_aiopt.airflow import cli
from airflow_provider_aiopt.cli.command import Command

def run(_):
    logging.info("log")
    structlog.get_logger().info("later")
    print("straight", file=shared, flush=True)
    print("data")
    return 3

action = cli._action(Command("x", "x", run))
shared = sys.stdout
logging.basicConfig(stream=shared, level="INFO", format="%(message)s", force=True)
print("before")
action.func(argparse.Namespace())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, "before\ndata\n")
    for line in ("log", "later", "straight"):
        assert line in ended.stderr


def test_every_airflow_call_pays_little_for_it() -> None:
    """Airflow asks for the commands whatever it is called for."""
    program = (
        "import sys\n"
        "from airflow.cli import cli_config\n"
        "from airflow_provider_aiopt.airflow.cli import get_aiopt_cli_commands\n"
        "before = set(sys.modules)\n"
        "get_aiopt_cli_commands()\n"
        "heavy = {'numpy', 'pyarrow', 'pandas', 'onnxruntime', 'torch', 'PIL', 'rich.table', 'fsspec'}\n"
        "print(sorted(heavy & (sys.modules.keys() - before)))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert found.stdout == "[]\n"
