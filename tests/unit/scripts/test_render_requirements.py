from __future__ import annotations

import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from render_requirements import LEFT_OUT, ROOT, pins, requirement_name, roots, whole_entries

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMES = ("runtime-requirements", "runtime-gpu-requirements", "airflow-requirements", "build-requirements")


def text(name: str) -> str:
    return (ROOT / "docker" / f"{name}.txt").read_text()


def test_names() -> None:
    assert requirement_name("Foo_Bar[x] >=1 ; python_version < '3.12'") == "foo-bar"
    with pytest.raises(ValueError, match="is no requirement"):
        requirement_name("==1")


def test_pins() -> None:
    found = pins("# x\nnumpy==2.4.6 ; python_version < '3.12' \\\n    --hash=sha256:aa\nnumpy==2.5.5\n")
    assert found == {"numpy": {"2.4.6", "2.5.5"}}


def test_an_entry_is_whole() -> None:
    text = "# x\na==1 \\\n    --hash=sha256:a \\\n    --hash=sha256:b\nc==1\n"
    assert whole_entries(text) == ["a==1 \\\n    --hash=sha256:a \\\n    --hash=sha256:b", "c==1"]


def test_airflow_is_not_among_the_roots_and_the_dependencies_are() -> None:
    wanted = {requirement_name(need) for need in roots(PROJECT)["runtime-requirements"]}
    core = {requirement_name(need) for need in PROJECT["dependencies"]} - {"apache-airflow"}
    assert core < wanted
    assert {"onnxruntime", "tokenizers", "s3fs", "gcsfs", "redis", "dumb-init"} <= wanted
    assert not any(name.startswith("apache-airflow") for name in wanted)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_those_of_the_project(name: str) -> None:
    """A change of pyproject.toml or constraints.txt asks for scripts/render_requirements.py."""
    pinned = pins(text(name))
    assert f"# Asked for: {', '.join(roots(PROJECT)[name])}\n" in text(name)
    beside = pins(text("runtime-requirements")) if name == "airflow-requirements" else {}
    assert {requirement_name(need) for need in roots(PROJECT)[name]} <= pinned.keys() | beside.keys()
    tested = pins((ROOT / "constraints.txt").read_text())
    differing = {one: (pinned[one], tested[one]) for one in pinned.keys() & tested.keys()}
    assert {one: both for one, both in differing.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("name", NAMES)
def test_every_pin_has_a_hash(name: str) -> None:
    entries = text(name).replace("\\\n", " ").splitlines()
    pinned = [line for line in entries if not line.startswith("#")]
    assert len(pinned) > 5
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)


def test_what_a_pin_needs_is_pinned() -> None:
    """For the packages that are installed here, whose own requirements are known without a network."""
    pinned = pins(text("runtime-requirements"))
    lacking = set()
    for name in pinned.keys() - {"dumb-init", "gcsfs"}:
        try:
            needs = requires(name) or []
        except ModuleNotFoundError:  # the importlib's error for a package that is not installed
            continue
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                lacking |= {requirement_name(need.name)} - pinned.keys()
    assert lacking == set(LEFT_OUT)


def test_the_dockerfiles_name_files_that_exist() -> None:
    for name in ("runtime", "airflow"):
        for line in (ROOT / "docker" / f"{name}.Dockerfile").read_text().splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                sources = [word for word in line.split()[1:-1] if not word.startswith("--")]
                assert all((ROOT / Path(source)).exists() for source in sources), line
