"""Make ``.env`` for ``docker-compose.yaml``: ``.env.example`` with a new secret in place of each empty value.

It is readable by its owner alone.  One that is there is never changed: the volumes know its secrets.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / ".env.example"
TARGET = ROOT / ".env"
_FERNET_KEY = "AIRFLOW_FERNET_KEY"


def filled(example: str) -> str:
    """Return *example* with a secret behind each ``NAME=`` that has no value.

    Passwords become parts of URLs, so they have letters, digits, ``-`` and ``_`` only.
    """
    return "".join(_filled_line(line) for line in example.splitlines(keepends=True))


def variables(env_file: str) -> dict[str, str]:
    """Return what an environment file sets: a ``NAME=value`` a line, and comments."""
    pairs = (line.partition("=") for line in env_file.splitlines() if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def main() -> int:
    """Write the file unless it is there; return the exit code."""
    try:
        descriptor = os.open(TARGET, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{TARGET.name} is there already and is left as it is")
        return 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(filled(EXAMPLE.read_text(encoding="utf-8")))
    print(f"{TARGET.name}: made, with new secrets. Log in as admin with its AIRFLOW_ADMIN_PASSWORD")
    return 0


def _filled_line(line: str) -> str:
    name, equals, value = line.rstrip("\n").partition("=")
    if line.startswith("#") or not equals or value.strip():
        return line
    # Fernet wants 32 bytes in URL-safe base64, padding included.
    secret = (
        base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        if name == _FERNET_KEY
        else secrets.token_urlsafe(32)
    )
    return f"{name}={secret}\n"


if __name__ == "__main__":
    sys.exit(main())
