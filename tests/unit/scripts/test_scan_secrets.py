from __future__ import annotations

from pathlib import Path

import pytest
import scan_secrets
from scan_secrets import is_read, scan

# Put together here, so that the scan of this very file finds nothing.
SECRETS = {
    "AWS Access Key": "aws = '" + "AKIA" + "IOSFODNN7EXAMPLQ'",
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "GitHub Token": "x = 'ghp" + "_" + "a1B2" * 9 + "'",
    "Secret Keyword": "db_pass" + "word = 'hunter2-and-more'",
    "Basic Auth Credentials": "url = 'postgresql://airflow:" + "s3cr3tpw" + "@db/airflow'",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text(f"first = 1\n{SECRETS[kind]}\n")
    (found,) = [(one, line) for one, line in scan(file).items() if one.kind == kind]
    assert found[1] == 2
    assert SECRETS[kind] not in repr(found)


def test_what_is_none(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text("password = os.environ['PASSWORD']\nsha256 = '" + "0f" * 32 + "'\n")
    assert scan(file) == {}


def test_the_run_fails_and_names_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "leak.py"
    file.write_text(SECRETS["AWS Access Key"] + "\n")
    monkeypatch.setattr(scan_secrets, "BASELINE", tmp_path / "baseline")
    (tmp_path / "baseline").write_text("[]")
    monkeypatch.setattr("sys.argv", ["scan_secrets.py", str(file)])

    assert scan_secrets.main() == 1
    shown = capsys.readouterr().out
    assert f"{file}:1: looks like a secret (AWS Access Key)" in shown
    assert "EXAMPL" not in shown

    monkeypatch.setattr("sys.argv", ["scan_secrets.py", "--update", str(file)])
    assert scan_secrets.main() == 0
    monkeypatch.setattr("sys.argv", ["scan_secrets.py", str(file)])
    assert scan_secrets.main() == 0


def test_pins_and_pictures_are_not_read() -> None:
    assert not is_read("docker/runtime-requirements.txt")
    assert not is_read("docs/images/stages.png")
    assert is_read("docker/runtime.Dockerfile")
    assert is_read("tests/unit/conftest.py")
