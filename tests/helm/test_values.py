"""Wrong values are refused with one clear error, and so are those that the official chart does not know."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml
from helm_chart import CASES, OFFICIAL, SOURCE, Chart

from airflow_provider_aiopt.get_provider_info import get_provider_info


def faults(stderr: str) -> list[str]:
    """The faults that Helm lists."""
    return [line.strip("- ") for line in stderr.splitlines() if line.strip().startswith("- at ")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("setup.enabld=true", "at '/setup': additional properties 'enabld' not allowed"),
        ("monitorring.dashboard.enabled=true", "at '': additional properties 'monitorring' not allowed"),
        ("setup.enabled=maybe", "at '/setup/enabled': got string, want boolean"),
        ("setup.backoffLimit=-1", "at '/setup/backoffLimit': minimum: got -1, want 0"),
        ("stages.podTemplates.gpu.gpus=-1", "at '/stages/podTemplates/gpu/gpus': minimum: got -1, want 0"),
        ("stages.podTemplates.gpu.gpus=half", "at '/stages/podTemplates/gpu/gpus': got string, want integer"),
        ("stages.networkPolicy.ports=[70000]", "at '/stages/networkPolicy/ports/0': maximum: got 70,000"),
        ("stages.image.pullPolicy=Sometimes", "at '/stages/image/pullPolicy': value must be one of"),
        ("stages.podDisruptionBudget.minAvailable=50%", "/minAvailable': got string, want integer"),
        ("monitoring.serviceMonitor.interval=15", "at '/monitoring/serviceMonitor/interval': got number"),
        ("setup.airflowUrl=http://me:word@airflow", "at '/setup/airflowUrl':"),
        ('teams=[{"name": "a", "namespace": "b"}]', "at '/teams/0': missing property 'serviceAccount'"),
    ],
)
def test_a_wrong_value_is_one_error(chart: Chart, wrong: str, said: str) -> None:
    stderr = chart.error((), wrong)

    (fault,) = faults(stderr)
    assert said in fault


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            ("officialChart.enabled=false",),
            "airflowRelease is empty, but officialChart.enabled is false. Name",
        ),
        (
            ("airflow.config.aiopt.gpu_queue=gpus", "airflow.config.aiopt.gpu_pool_slots=2"),
            'airflow.config.aiopt.gpu_queue is "gpus", but no worker set takes from that queue: GPU',
        ),
        (
            ("stages.podTemplates.configMapName=mine",),
            'stages.podTemplates.configMapName is "mine", but airflow.volumes mounts no such ConfigMap',
        ),
        (
            ('teams=[{"name": "a", "namespace": "ai", "serviceAccount": "w"}]',),
            "teams: a is to have the namespace \"ai\", which is Airflow's or another team's. Give each",
        ),
    ],
)
def test_values_that_contradict_each_other_are_one_error(
    chart: Chart, wrong: tuple[str, ...], said: str
) -> None:
    stderr = chart.error((), *wrong)

    assert said in stderr
    assert stderr.count("Error:") == 1


def test_two_teams_of_one_name_are_refused(chart: Chart) -> None:
    team = {"name": "a", "serviceAccount": "w"}
    teams = [{**team, "namespace": "one"}, {**team, "namespace": "two"}]

    assert 'teams: two are named "a". Give each' in chart.error((), f"teams={json.dumps(teams)}")


@pytest.mark.parametrize("overlay", sorted(path.name for path in SOURCE.glob("values-*.yaml")))
def test_every_overlay_is_rendered_by_the_tests(overlay: str) -> None:
    assert overlay in {name for overlays in CASES.values() for name in overlays}


def test_every_value_is_explained_by_the_schema_and_known_there() -> None:
    schema = json.loads((SOURCE / "values.schema.json").read_text())
    values = yaml.safe_load((SOURCE / "values.yaml").read_text())

    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert set(values) | {"global"} == set(schema["properties"])


@pytest.mark.parametrize("name", ["values.yaml", "values-cpu.yaml", "values-gpu.yaml"])
def test_aiopt_options_exist(name: str) -> None:
    values = yaml.safe_load((SOURCE / name).read_text())
    known = get_provider_info()["config"]["aiopt"]["options"]

    assert set(values["airflow"]["config"].get("aiopt", {})) <= set(known)


class TestOfficialValues:
    """The pinned contract with the official chart: Helm itself checks what it is given against it."""

    @pytest.mark.parametrize("case", CASES)
    def test_what_it_is_given_is_in_the_contract(self, chart: Chart, case: str) -> None:
        jsonschema.validate(
            chart.given(CASES[case]), json.loads((OFFICIAL / "values.schema.json").read_text())
        )

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ("airflow.workers.keda.enabled=true", "additional properties 'keda' not allowed"),
            ("airflow.workers.celery.keda.minReplicas=1", "additional properties 'minReplicas' not allowed"),
            ("airflow.statsd.extraMappings=text", "got string, want array"),
            ("airflow.executor=SequentialExecutor", "does not match pattern"),
        ],
    )
    def test_what_is_not_in_it_is_refused(self, chart: Chart, wrong: str, said: str) -> None:
        stderr = chart.error((), wrong)

        (fault,) = faults(stderr)
        assert said in fault

    def test_it_names_nothing_that_is_not_set(self, chart: Chart) -> None:
        contract = json.loads((OFFICIAL / "values.schema.json").read_text())
        given = [chart.given(overlays) for overlays in CASES.values()]

        assert set().union(*given) == set(contract["properties"])
