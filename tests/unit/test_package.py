"""What can be imported, at what cost, and what the provider tells Airflow about itself."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

import airflow_provider_aiopt
from airflow_provider_aiopt.get_provider_info import get_provider_info

HEAVY = ["torch", "onnxruntime", "pyarrow", "numpy", "pandas", "PIL", "tokenizers", "matplotlib"]
INFO = get_provider_info()


def python(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize("name", airflow_provider_aiopt.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(airflow_provider_aiopt, name)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Ingest'"):
        airflow_provider_aiopt.Ingest  # noqa: B018
    assert dir(airflow_provider_aiopt) == sorted(airflow_provider_aiopt.__all__)


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = json.loads(
        python(
            "import sys, json; before = set(sys.modules); import airflow_provider_aiopt;"
            "print(json.dumps(sorted(set(sys.modules) - before)))"
        )
    )
    assert [name for name in loaded if name.startswith("airflow")] == ["airflow_provider_aiopt"]
    assert not {"pydantic", "yaml", *HEAVY} & set(loaded)


def modules(section: str) -> list[str]:
    return [name for entry in INFO[section] for name in entry["python-modules"]]


OPERATOR_MODULES = [
    *modules("operators"),
    "airflow_provider_aiopt.decorators.timed_stage",
    "airflow_provider_aiopt.notifications.slow_stage",
]


# Forks a process that has what every DAG file imports, for each module: starting anew takes seconds.
LOADED = """
import json, os, sys
import airflow.sdk
from airflow.sdk import BaseOperator, DAG
import airflow.providers.standard.decorators.python  # what every DAG with a Python task imports

def loaded(module):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        before = set(sys.modules)
        __import__(module)
        os.write(writing, json.dumps(sorted(set(sys.modules) - before)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answer = json.load(stream)
    assert os.waitpid(child, 0)[1] == 0
    return answer

print(json.dumps({module: loaded(module) for module in sys.argv[1:]}))
"""
MOST_MODULES = 40
"""What an operator may load beside what every DAG file loads.

Fifteen small modules take 12 ms of CPU time; the budget is 50 ms.  Modules are counted, not milliseconds,
which depend on what else the machine does.
"""


IN_PODS = "airflow_provider_aiopt.operators.kubernetes_stage"
"""It extends Airflow's own operator for pods, and so loads the Kubernetes client, as that one does."""


def test_a_dag_file_loads_little_and_nothing_heavy() -> None:
    for module, found in json.loads(python(LOADED, *OPERATOR_MODULES)).items():
        assert module in found, "it was there before"
        assert not set(HEAVY) & {name.partition(".")[0] for name in found}
        if module != IN_PODS:
            assert len(found) <= MOST_MODULES, module


def test_the_core_runs_where_airflow_cannot_be_imported(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    program = f"""
import sys
sys.path.insert(0, {str(tests)!r})
sys.modules["airflow"] = None  # importing it raises
import numpy as np
from pathlib import Path
from onnx_models import linear_model
from airflow_provider_aiopt.cli.main import main
folder = Path({str(tmp_path)!r})
linear_model(folder / "model.onnx", np.ones((2, 1)))
(folder / "rows.csv").write_text("a,b\\n1,2\\n3,4\\n")
(folder / "spec.yaml").write_text('''
source: {{uri: rows.csv, format: csv, columns: [a, b]}}
preprocess: {{kind: tabular}}
model: {{uri: model.onnx}}
execution: {{workers: 1}}
''')
code = main(["run", str(folder / "spec.yaml"), "--work-dir", str(folder / "runs"), "--json"])
assert not any(name == "airflow" or name.startswith("airflow.") for name in sys.modules if sys.modules[name])
sys.exit(code)
"""
    assert json.loads(python(program))["results"] == 2


class TestProviderInfo:
    def test_it_is_what_airflow_reads(self) -> None:
        schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
        jsonschema.validate(INFO, schema)

    def test_the_version_is_the_packages(self) -> None:
        assert INFO["versions"] == [airflow_provider_aiopt.__version__]

    def test_every_operator_module_is_listed(self) -> None:
        folder = Path(airflow_provider_aiopt.__file__).parent / "operators"
        found = {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}
        assert {name.rpartition(".")[2] for name in modules("operators")} == found

    @pytest.mark.parametrize(
        "path",
        [
            *(item["class-name"] for item in INFO["task-decorators"]),
            *INFO["cli"],
            *INFO["extra-links"],
            *INFO["notifications"],
        ],
    )
    def test_what_it_names_can_be_imported(self, path: str) -> None:
        module, _, name = path.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))

    def test_every_option_is_described(self) -> None:
        for section in INFO["config"].values():
            for option in section["options"].values():
                assert option["description"]
                assert isinstance(option["default"], str)


# Pyarrow imports pandas, where it is installed, on the first conversion of Python objects, and its hundreds
# of compute functions on the first take. Together they cost more than the work on one photograph.
WITHOUT = """
import sys
from pathlib import Path

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in ("pandas", "pyarrow.compute"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refusing())
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.spec import load_spec

photograph, folder = sys.argv[1:]
model = {"uri": "builtin:efficientnet-lite0-int8"}
spec = load_spec({"name": "one", "source": {"uri": photograph}, "model": model})
for run in run_pipeline, run_streaming:
    print(run(RunContext(spec=spec, workspace=Workspace.open(f"{folder}/{run.__name__}")))[-1].items_out)
"""


def test_a_photograph_is_classified_without_slow_imports(tmp_path: Path) -> None:
    photograph = Path(__file__).parents[2] / "examples" / "photographs" / "flower.jpg"

    assert python(WITHOUT, str(photograph), str(tmp_path)).split() == ["1", "1"]
