"""``docker-compose.yaml`` as the loader of ``docker compose`` reads it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from components import requires_success
from compose_env import EXAMPLE, filled, variables
from local_compose.compose_file import COMPOSE_FILE, ROOT, load

pytestmark = pytest.mark.integration

LOADER = Path(__file__).parent / "compose_config"
SECRETS = [name for name, value in variables(EXAMPLE.read_text("utf-8")).items() if not value]


@pytest.fixture(scope="module")
def loader() -> Path:
    """The program that loads a Compose file, built by Go."""
    program = ROOT / ".cache" / "compose_config"
    # go.mod names a version that the Go of Debian 12, 1.19, can build; -C is not known to it.
    command = ["go", "build", "-o", str(program), "."]
    requires_success("compose-go", command, "needs Go and a module proxy that it reaches", cwd=LOADER)
    return program


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / "filled.env"
    path.write_text(filled(EXAMPLE.read_text("utf-8")), encoding="utf-8")
    return path


def config(loader: Path, env_file: Path, *profiles: str, file: Path = COMPOSE_FILE) -> Any:
    ended = subprocess.run(
        [loader, file, env_file, *profiles], capture_output=True, text=True, check=False, cwd=ROOT, env={}
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return json.loads(ended.stdout)


def test_it_is_read_without_a_word_and_as_we_read_it(loader: Path, env_file: Path) -> None:
    project = config(loader, env_file, "gpu")
    ours = load(variables(env_file.read_text("utf-8")))
    assert project["name"] == "aiopt"
    assert project["services"].keys() == ours.keys()
    for name, service in ours.items():
        theirs = project["services"][name]
        assert theirs["image"] == service.image
        assert tuple(theirs.get("command") or ()) == service.command
        assert (theirs.get("environment") or {}) == dict(service.environment), name
        mounts = {(item["source"], item["target"], item["type"]) for item in theirs.get("volumes", ())}
        assert mounts == {(mount.source, mount.target, mount.kind) for mount in service.mounts}, name
        assert theirs["deploy"].get("replicas", 1) == service.replicas
    (device,) = project["services"]["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == 1
    assert project["services"]["worker"]["deploy"]["resources"]["limits"]["memory"] == str(4 * 1024**3)


def test_the_gpu_worker_needs_its_profile(loader: Path, env_file: Path) -> None:
    services = config(loader, env_file)["services"]
    assert "worker-gpu" not in services
    assert "worker" in services


@pytest.mark.parametrize("name", SECRETS)
def test_it_is_refused_without_a_secret(loader: Path, env_file: Path, name: str) -> None:
    lines = env_file.read_text("utf-8").splitlines()
    env_file.write_text("\n".join(line for line in lines if not line.startswith(f"{name}=")))
    ended = subprocess.run(
        [loader, COMPOSE_FILE, env_file], capture_output=True, text=True, check=False, cwd=ROOT, env={}
    )
    assert ended.returncode == 1
    assert name in ended.stderr
    assert "run make compose-env" in ended.stderr


def test_the_loader_refuses_what_it_does_not_know(loader: Path, env_file: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))
    content["services"]["redis"]["healthchek"] = content["services"]["redis"].pop("healthcheck")
    file = tmp_path / "docker-compose.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    ended = subprocess.run([loader, file, env_file], capture_output=True, text=True, check=False, env={})
    assert ended.returncode == 1
    assert "healthchek" in ended.stderr
