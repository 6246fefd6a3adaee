from __future__ import annotations

import base64
import stat
from pathlib import Path

import compose_env
import pytest
from local_airflow import StartError
from local_compose import Programs
from local_compose.compose_file import ComposeFileError, Mount, interpolate, load
from local_compose.places import Places


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$NAME and ${NAME}", "v and v"),
        ("${NAME:-other}", "v"),
        ("${ABSENT:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${ABSENT}", ""),
        ("${NAME:?say it}", "v"),
        ("$$NAME costs 5$", "$NAME costs 5$"),
    ],
)
def test_variables_are_filled_in(text: str, expected: str) -> None:
    assert interpolate(text, {"NAME": "v", "EMPTY": ""}) == expected


@pytest.mark.parametrize("environment", [{}, {"PASSWORD": ""}])
def test_a_variable_that_has_to_be_set(environment: dict[str, str]) -> None:
    with pytest.raises(ComposeFileError, match=r"wants PASSWORD: set it in \.env"):
        interpolate("${PASSWORD:?set it in .env}", environment)


def test_a_file_becomes_services(tmp_path: Path) -> None:
    (tmp_path / "more.env").write_text("# a comment\nONE=from the file\nTWO=a=b\n")
    (tmp_path / "docker-compose.yaml").write_text(
        """
services:
  web:
    image: web:${VERSION:-1}
    env_file: [more.env]
    environment: {ONE: "1", PORT: 80}
    command: [serve, --port, 80]
    volumes:
      - {type: bind, source: ./site, target: /site, read_only: true}
      - {type: volume, source: data, target: /data}
    deploy: {replicas: "${REPLICAS:-3}"}
"""
    )
    web = load({"VERSION": "2"}, tmp_path / "docker-compose.yaml")["web"]
    assert (web.image, web.command, web.replicas) == ("web:2", ("serve", "--port", "80"), 3)
    assert web.environment == {"ONE": "1", "TWO": "a=b", "PORT": "80"}
    site = Mount(str(tmp_path / "site"), "/site", "bind", True)
    assert web.mounts == (site, Mount("data", "/data", "volume", False))

    places = Places({("db", 5432): 41000, ("web", 80): 41001}, tmp_path / "volumes")
    assert places.addresses("postgresql://u:p@db:5432/x, db:1, other-db:5432") == (
        "postgresql://u:p@127.0.0.1:41000/x, db:1, other-db:5432"
    )
    assert places.argument(web, "--listen=:80") == "--listen=127.0.0.1:41001"
    assert places.argument(web, "--root=/site/a") == f"--root={tmp_path}/site/a"
    assert places.path(web, "dir /data") == f"dir {tmp_path}/volumes/data"
    assert places.path(web, "/database /var/data") == "/database /var/data"


class TestSecrets:
    def test_each_empty_value_gets_one_of_its_own(self) -> None:
        example = compose_env.EXAMPLE.read_text("utf-8")
        first, second = (compose_env.variables(compose_env.filled(example)) for _ in range(2))
        empty = [name for name, value in compose_env.variables(example).items() if not value]
        assert len({first[name] for name in empty} | {second[name] for name in empty}) == 2 * len(empty)
        for name in empty:
            if name == "AIRFLOW_FERNET_KEY":
                assert len(base64.urlsafe_b64decode(first[name])) == 32
            else:
                assert len(first[name]) >= 40
                assert first[name].replace("-", "").replace("_", "").isalnum(), "it becomes part of a URL"
        assert {name: value for name, value in first.items() if name not in empty} == {
            name: value for name, value in compose_env.variables(example).items() if value
        }

    def test_the_file_is_private_and_never_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(compose_env, "TARGET", tmp_path / ".env")
        assert compose_env.main() == 0
        made = (tmp_path / ".env").read_text()
        assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
        assert compose_env.main() == 0
        assert (tmp_path / ".env").read_text() == made
        said = capsys.readouterr().out
        assert "is left as it is" in said
        for name, value in compose_env.variables(made).items():
            if len(value) >= 40:
                assert value not in said, name


def test_a_program_that_is_not_installed() -> None:
    with pytest.raises(StartError, match=r"no program '/no/exporter' for the service statsd-exporter"):
        Programs(Path("/no/exporter")).of("statsd-exporter")
