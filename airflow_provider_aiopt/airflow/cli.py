"""The commands of ``aiopt`` as ``airflow aiopt ...``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


def get_aiopt_cli_commands() -> list[CLICommand]:
    """Return the command group that Airflow adds to its own command line."""
    return []
