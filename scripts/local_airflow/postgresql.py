"""A PostgreSQL server of one's own, below an Airflow's home."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from local_airflow.errors import DatabaseUnavailableError, StartError, tail
from local_airflow.supervisor import Supervisor

NAME = "postgresql"
"""What the supervisor calls the server."""

INSTALL = "apt-get install postgresql"

_DEBIAN = Path("/usr/lib/postgresql")
_ROLE = "airflow"
_DATABASE = "postgres"
_USERS = ("postgres", "nobody")
_INITDB_OPTIONS = ("-U", _ROLE, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
_LOOPBACK = "127.0.0.1"
# Asks, in PostgreSQL's protocol, whether the server speaks TLS: it answers with one byte, S or N.
_SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))


def programs() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``, None where PostgreSQL's server is not installed."""
    versions = [path for path in _DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    folders = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("initdb")
    if found is not None:
        folders.append(Path(found).resolve().parent)
    return next(
        (path for path in folders if (path / "initdb").exists() and (path / "postgres").exists()), None
    )


class PostgreSQL:
    """A server with PostgreSQL's own settings, on a free port of loopback, for one role with a password.

    PostgreSQL refuses to run as root: there it runs as ``postgres`` or ``nobody``.  Such a user may have no
    way to the folder, for example below a private one of root's, so the server is given the open folder.

    :param folder: the cluster's data; made at the first start
    :param password: the role's password
    :param port: a free port
    """

    def __init__(self, folder: Path, password: str, port: int) -> None:
        self._folder = folder
        self._password = password
        self._port = port

    @property
    def url(self) -> str:
        """The database for SQLAlchemy."""
        return f"postgresql+psycopg2://{_ROLE}:{self._password}@{_LOOPBACK}:{self._port}/{_DATABASE}"

    def start(self, supervisor: Supervisor, env: Mapping[str, str], deadline: float) -> None:
        """Make the cluster unless it is there, start the server and wait until it answers.

        :param supervisor: runs the server
        :param env: the environment
        :param deadline: until when to wait, by the monotonic clock
        :raises DatabaseUnavailableError: if PostgreSQL's server is not installed, or no user may run it
        :raises StartError: if the cluster cannot be made, or the time is over
        """
        if not self._folder.exists():
            self._create(env)
        self._launch(supervisor)
        while not self._answers():
            if time.monotonic() > deadline:
                raise StartError(f"PostgreSQL did not become ready in time.\n{tail(supervisor.log_of(NAME))}")
            supervisor.watch(0.05)

    def _create(self, env: Mapping[str, str]) -> None:
        program = str(_installed() / "initdb")
        # Under another name until it is whole: one that was cut short is made anew.
        partial = self._folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        user = _unprivileged_user()
        if user is not None:
            os.chown(partial, user.pw_uid, user.pw_gid)
        folder = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
        secret = os.memfd_create("password")
        try:
            os.write(secret, self._password.encode())
            done = subprocess.run(
                (program, "-D", _path_of(folder), f"--pwfile={_path_of(secret)}", *_INITDB_OPTIONS),
                env=dict(env),
                cwd="/",
                pass_fds=(folder, secret),
                capture_output=True,
                text=True,
                check=False,
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else (),
            )
        finally:
            os.close(folder)
            os.close(secret)
        if done.returncode != 0:
            raise StartError(f"`initdb` failed with exit code {done.returncode}.\n{done.stdout}{done.stderr}")
        partial.rename(self._folder)

    def _launch(self, supervisor: Supervisor) -> None:
        user = _unprivileged_user()
        program = str(_installed() / "postgres")
        settings = ("-c", f"listen_addresses={_LOOPBACK}", "-c", "unix_socket_directories=")
        supervisor.start_program(
            NAME,
            (program, "-D", "{folder}", "-p", str(self._port), *settings),
            folder=self._folder,
            user=None if user is None else user.pw_name,
        )

    def _answers(self) -> bool:
        try:
            with socket.create_connection((_LOOPBACK, self._port), timeout=1.0) as connection:
                connection.sendall(_SSL_REQUEST)
                return connection.recv(1) in (b"S", b"N")
        except OSError:
            return False


def _installed() -> Path:
    found = programs()
    if found is None:
        raise DatabaseUnavailableError(
            f"PostgreSQL's server is not installed: there is no initdb below {_DEBIAN} or on the PATH. "
            f"Install it (Debian: {INSTALL}), or use SQLite."
        )
    return found


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Return who is to run the server, None for whoever runs this."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DatabaseUnavailableError(
        f"PostgreSQL does not run as root, and this machine has no user {' or '.join(_USERS)} to run it as."
    )


def _path_of(descriptor: int) -> str:
    # Leads to the open file itself: folders on its way do not matter.
    return f"/proc/self/fd/{descriptor}"
