"""How commands reach an Airflow's API: the arguments, their environment variables and the client."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from airflow_provider_aiopt.cli.command import Argument, argument

if TYPE_CHECKING:
    from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi

CREDENTIALS_NOTE = """\
A token or password is better given in the environment than on the command line, where other users of the
machine can read it."""
"""For the description of a command that takes these arguments."""


def api_arguments(purpose: str) -> tuple[Argument, ...]:
    """Return the arguments with which a user names an Airflow and logs in.

    :param purpose: what the command does with it, for the help text
    """
    return (
        argument("--airflow-url", metavar="URL", help=f"{purpose}; $AIOPT_AIRFLOW_URL by default"),
        argument("--airflow-token", metavar="TOKEN", help="$AIOPT_AIRFLOW_TOKEN by default"),
        argument("--airflow-username", metavar="NAME", help="$AIOPT_AIRFLOW_USERNAME by default"),
        argument("--airflow-password", metavar="PASSWORD", help="$AIOPT_AIRFLOW_PASSWORD by default"),
    )


def named_url(arguments: argparse.Namespace) -> str | None:
    """Return the address that the user named."""
    return arguments.airflow_url or os.environ.get("AIOPT_AIRFLOW_URL") or None


def known_url(arguments: argparse.Namespace) -> str | None:
    """Return the address that the user named, else this Airflow's own where it has one configured."""
    url = named_url(arguments)
    if url is None and arguments.configuration is not None:
        url = arguments.configuration.get("api", "base_url") or None
    return url


def airflow_api(arguments: argparse.Namespace, url: str) -> AirflowApi:
    """Return a client of the Airflow at *url* with the user's credentials.

    :raises AirflowApiError: if the URL or the token cannot be one
    """
    from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi

    return AirflowApi(
        url,
        token=arguments.airflow_token or os.environ.get("AIOPT_AIRFLOW_TOKEN"),
        username=arguments.airflow_username or os.environ.get("AIOPT_AIRFLOW_USERNAME"),
        password=arguments.airflow_password or os.environ.get("AIOPT_AIRFLOW_PASSWORD"),
    )
