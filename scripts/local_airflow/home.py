"""A home folder of Airflow of its own: secrets, configuration, lock, environment."""

from __future__ import annotations

import base64
import configparser
import fcntl
import importlib.metadata
import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from airflow_provider_aiopt.deployment.profiles import load_profile
from local_airflow.errors import HomeInUseError

USERNAME = "admin"
PROFILE = "small-machine"
"""The profile whose settings it has, but for those of the DAG templates: they are as a user has them."""
_DROPPED_PREFIXES = ("AIRFLOW_", "_AIRFLOW_")
# Without cached byte code every start would compile Airflow anew: two seconds per process.
_DROPPED_VARIABLES = ("PYTHONDONTWRITEBYTECODE",)


class Home:
    """The files of one Airflow, all below one folder.

    :param folder: the folder; it is made where it does not exist
    :param database: the kind of its database, whose files are ``data``
    """

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self.stamp = self.folder / ".migrated"
        self.data = self.folder / ("airflow.db" if database == "sqlite" else database)
        self._database = database
        self._passwords = self.folder / "passwords.json"
        self._secrets = self.folder / "secrets.json"
        self._lock: IO[str] | None = None

    def acquire(self) -> None:
        """Make the folder and lock it for this process.

        :raises HomeInUseError: if another process holds it
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = (self.folder / ".lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise HomeInUseError(
                f"Another Airflow runs in {self.folder} (process {holder}). Stop it, or use another home."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def password(self) -> str:
        """The password of :data:`USERNAME`, made up once per home."""
        if not self._passwords.exists():
            _write_private(self._passwords, json.dumps({USERNAME: secrets.token_urlsafe(16)}))
        return str(json.loads(self._passwords.read_text(encoding="utf-8"))[USERNAME])

    def needs_migration(self) -> bool:
        """Whether the database is missing or of another Airflow; if so, its stamp is removed."""
        fits = (
            self.stamp.exists()
            and self.stamp.read_text(encoding="utf-8") == self._migrated()
            and self.data.exists()
        )
        if not fits:
            self.stamp.unlink(missing_ok=True)
        return not fits

    def mark_migrated(self) -> None:
        """Remember that the database fits the installed Airflow."""
        self.stamp.write_text(self._migrated(), encoding="utf-8")

    def _migrated(self) -> str:
        return f"{_version()} {self._database}"

    @property
    def sqlite_url(self) -> str:
        """The SQLite database for SQLAlchemy: writers wait for each other instead of failing."""
        return f"sqlite:///{self.data}?timeout=30"

    @property
    def database_password(self) -> str:
        """The password of a database server's role, made up once per home."""
        return self._keys()["database_password"]

    def write_config(self, dags: Sequence[Path], url: str, execution_url: str, database_url: str) -> None:
        """Write ``airflow.cfg``, which ``AIRFLOW_HOME=<home> airflow ...`` reads as well."""
        _ = self.password
        config = configparser.RawConfigParser()
        for source in (_profile_options(), self._options(dags, url, execution_url, database_url)):
            config.read_dict(
                {
                    section: {key: str(value).replace("%", "%%") for key, value in options.items()}
                    for section, options in source.items()
                }
            )
        path = self.folder / "airflow.cfg"
        _write_private(path, "")
        with path.open("w", encoding="utf-8") as file:
            config.write(file)

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the components: the caller's without its Airflow, and *extra*."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_DROPPED_PREFIXES) and name not in _DROPPED_VARIABLES
        }
        return {**inherited, "AIRFLOW_HOME": str(self.folder), "NO_COLOR": "1", **extra}

    def _options(
        self, dags: Sequence[Path], url: str, execution_url: str, database_url: str
    ) -> dict[str, dict[str, object]]:
        keys = self._keys()
        return {
            "core": {
                "dags_folder": dags[0].resolve(),
                "plugins_folder": self.folder / "plugins",
                "load_examples": False,
                "executor": "LocalExecutor",
                "execution_api_server_url": f"{execution_url}/execution/",
                "fernet_key": keys["fernet_key"],
                "simple_auth_manager_users": f"{USERNAME}:admin",
                "simple_auth_manager_passwords_file": self._passwords,
            },
            "database": {"sql_alchemy_conn": database_url},
            "api": {
                "host": "127.0.0.1",
                "base_url": url,
                "workers": 1,
                "secret_key": keys["secret_key"],
            },
            "api_auth": {"jwt_secret": keys["jwt_secret"]},
            "logging": {"base_log_folder": self.logs / "tasks", "colored_console_log": False},
            # New files are seen soon.
            "dag_processor": {
                "bundle_refresh_check_interval": 1,
                "dag_bundle_config_list": json.dumps(
                    [_bundle(index, folder) for index, folder in enumerate(dags)]
                ),
            },
        }

    def _keys(self) -> dict[str, str]:
        keys = {
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "jwt_secret": secrets.token_urlsafe(48),
            "secret_key": secrets.token_urlsafe(32),
            "database_password": secrets.token_urlsafe(32),
        }
        known = json.loads(self._secrets.read_text("utf-8")) if self._secrets.exists() else {}
        if keys.keys() - known.keys():
            known = keys | known
            _write_private(self._secrets, json.dumps(known))
        return {str(name): str(key) for name, key in known.items()}


def reserve_port() -> socket.socket:
    """Return a socket bound to a free loopback port, for as long as it is open.

    A server that sets ``SO_REUSEADDR``, as uvicorn does, may listen on the port meanwhile; the system gives
    it to nobody who asks for any free port.
    """
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.bind(("127.0.0.1", 0))
    # After binding: before it, the system could pick a port that another holder has reserved.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return held


def _profile_options() -> dict[str, dict[str, str]]:
    sections = load_profile(PROFILE).sections()
    return {section: options for section, options in sections.items() if section != "aiopt"}


def _bundle(index: int, folder: Path) -> dict[str, object]:
    return {
        # The name is part of every DAG's identity: it must be the same at the next start.
        "name": f"dags-folder-{index}" if index else "dags-folder",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder.resolve()), "refresh_interval": 2},
    }


def _version() -> str:
    return importlib.metadata.version("apache-airflow-core")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
