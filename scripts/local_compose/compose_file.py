"""What ``docker-compose.yaml`` says, as far as processes on one machine can be started by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from compose_env import variables

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yaml"

_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<rule>:-|:\?)(?P<text>[^}]*))?\})"
)


class ComposeFileError(ValueError):
    """The file, or the environment that it is read with, does not say what is needed."""


@dataclass(frozen=True)
class Mount:
    """A folder or file that a container sees.

    :param source: a path of this machine, or the name of a volume
    :param target: the path in the container
    :param kind: ``bind`` or ``volume``
    :param read_only: whether the container may only read it
    """

    source: str
    target: str
    kind: str
    read_only: bool


@dataclass(frozen=True)
class Service:
    """One service, with all variables filled in.

    :param name: its name, which is its host's name as well
    :param image: the image
    :param command: its arguments, empty where the image's own are taken
    :param environment: its variables, those of its ``env_file`` included
    :param mounts: what it sees of this machine and of the volumes
    :param replicas: how many containers there are of it
    :param profiles: the profiles that it needs, none where it always runs
    :param raw: everything that the file says of it
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    replicas: int
    profiles: tuple[str, ...]
    raw: Mapping[str, Any]


def load(environment: Mapping[str, str], path: Path = COMPOSE_FILE) -> dict[str, Service]:
    """Return the services by their names.

    :param environment: what ``.env`` would hold
    :param path: the file
    :raises ComposeFileError: if the file wants a variable that is not set
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    raw = _walk(content["services"], lambda text: interpolate(text, environment))
    return {name: _service(name, values, path.parent) for name, values in raw.items()}


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Fill in ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``; ``$$`` is one dollar.

    :raises ComposeFileError: if a variable with a message is not set, or is empty
    """

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name = match["plain"] or match["name"]
        found = environment.get(name, "")
        if not found and match["rule"] == ":?":
            raise ComposeFileError(f"{COMPOSE_FILE.name} wants {name}: {match['text']}")
        return found or (match["text"] or "")

    return _REFERENCE.sub(value, text)


def _service(name: str, raw: Mapping[str, Any], folder: Path) -> Service:
    environment: dict[str, str] = {}
    for file in raw.get("env_file", ()):
        environment |= variables((folder / file).read_text(encoding="utf-8"))
    environment |= {key: str(value) for key, value in (raw.get("environment") or {}).items()}
    return Service(
        name=name,
        image=raw["image"],
        command=tuple(str(part) for part in raw.get("command", ())),
        environment=environment,
        mounts=tuple(_mount(item, folder) for item in raw.get("volumes", ())),
        replicas=int(raw.get("deploy", {}).get("replicas", 1)),
        profiles=tuple(raw.get("profiles", ())),
        raw=raw,
    )


def _mount(raw: Mapping[str, Any], folder: Path) -> Mount:
    source = str(raw["source"])
    if raw["type"] == "bind":
        source = str((folder / source).resolve())
    return Mount(source, str(raw["target"]), str(raw["type"]), bool(raw.get("read_only", False)))


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _walk(item, change) for key, item in value.items()}
    return [_walk(item, change) for item in value] if isinstance(value, list) else value
