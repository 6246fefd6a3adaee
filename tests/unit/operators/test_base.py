from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow_fakes import FakeTaskInstance, MappedOutputs, task_context

from airflow_provider_aiopt import (
    InferenceOperator,
    IngestOperator,
    PostprocessOperator,
    PreprocessOperator,
)
from airflow_provider_aiopt.airflow.context import REPORT_KEY
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.exceptions import ShardError, SourceError
from airflow_provider_aiopt.operators.base import ShardOperator, StageOperator, parse_refs
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.telemetry.reports import ADVICE, STAGES, StageReport
from airflow_provider_aiopt.telemetry.run_report import load_stage_reports

OPERATORS: list[type[StageOperator]] = [
    IngestOperator,
    PreprocessOperator,
    InferenceOperator,
    PostprocessOperator,
]
SHARD_OPERATORS = OPERATORS[1:]


def make(kind: type[BaseOperator], **arguments: Any) -> Any:
    if issubclass(kind, ShardOperator):
        arguments.setdefault("shard", "ingest/00000")
    arguments.setdefault("spec", {"source": {"uri": "data"}, "model": {"uri": "m"}})
    return kind(task_id="task", **arguments)


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_pipeline: Callable[[Path], Any]) -> Any:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "work"))
    return write_pipeline(tmp_path)


def execute(operator: Any, **instance: Any) -> tuple[Any, FakeTaskInstance]:
    ti = FakeTaskInstance(operator.task_id, **instance)
    return operator.execute(task_context(ti)), ti


def test_there_is_one_for_each_stage_in_order() -> None:
    assert tuple(operator.stage for operator in OPERATORS) == STAGES


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
class TestTemplates:
    def test_every_argument_is_templated(self, operator: type[StageOperator]) -> None:
        task = make(
            operator,
            spec={"source": {"uri": "{{ params.place }}/in"}, "execution": {"shards": "{{ params.shards }}"}},
            workspace="{{ params.place }}/work",
            profile="{{ params.profile }}",
            profile_stage="{{ params.stage }}",
        )
        task.render_template_fields(
            {"params": {"place": "/data", "shards": 3, "profile": "line", "stage": "inference"}}
        )
        assert (task.profile, task.profile_stage) == ("line", "inference")
        assert task.spec == {"source": {"uri": "/data/in"}, "execution": {"shards": "3"}}
        assert task.workspace == "/data/work"

    def test_the_path_of_a_spec_is_templated(self, operator: type[StageOperator]) -> None:
        task = make(operator, spec="/specs/{{ params.name }}.yaml")
        task.render_template_fields({"params": {"name": "photos"}})
        assert task.spec == "/specs/photos.yaml"

    def test_a_built_spec_is_left_as_it_is(self, operator: type[StageOperator]) -> None:
        built = load_spec({"source": {"uri": "data"}, "model": {"uri": "m"}})
        task = make(operator, spec=built)
        task.render_template_fields({})
        assert task.spec is built


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_a_wrong_spec_fails_at_once_naming_the_key(operator: type[StageOperator], spec: Any) -> None:
    task = make(operator, spec=spec | {"mode": {"uri": "typo"}})
    with pytest.raises(AirflowFailException, match=r"mode: unknown key; did you mean 'model'"):
        execute(task)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_airflow_can_serialise_it(operator: type[StageOperator]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    built = load_spec({"source": {"uri": "data"}, "model": {"uri": "m"}})
    with DAG("dag", schedule=None) as dag:
        make(operator, spec=built)
    DagSerialization.to_dict(dag)


class TestRun:
    def test_the_four_in_a_row(self, spec: Any, tmp_path: Path) -> None:
        shards, ingest = execute(make(IngestOperator, spec=spec))
        assert shards == ["ingest/00000", "ingest/00001"]

        prepared = [execute(make(PreprocessOperator, spec=spec, shard=shard))[0] for shard in shards]
        assert prepared == ["preprocess/00000", "preprocess/00001"]

        inferred, _ = execute(make(InferenceOperator, spec=spec, shard=prepared))
        assert inferred == ["inference/00000", "inference/00001"]

        answer, ti = execute(make(PostprocessOperator, spec=spec, shard=inferred))
        assert answer == {"results_uri": str(tmp_path / "work" / "dag" / "run" / "results"), "results": 4}
        last = StageReport.model_validate(ti.xcoms[REPORT_KEY])
        assert last.stage == "postprocess"
        assert str(last.details[ADVICE]).startswith("Limited by ")
        assert ADVICE not in StageReport.model_validate(ingest.xcoms[REPORT_KEY]).details
        assert ingest.xcoms.keys() == {REPORT_KEY}

    def test_a_report_names_its_task(self, spec: Any) -> None:
        _, ti = execute(make(IngestOperator, spec=spec), try_number=2, map_index=3)
        report = StageReport.model_validate(ti.xcoms[REPORT_KEY])
        assert report.task is not None
        assert (report.task.task_id, report.task.map_index, report.task.try_number) == ("task", 3, 2)
        assert report.pipeline == "sums"

    def test_a_workspace_of_ones_own(self, spec: Any, tmp_path: Path) -> None:
        execute(make(IngestOperator, spec=spec, workspace=str(tmp_path / "mine")))
        assert (tmp_path / "mine" / "ingest" / "00001.json").is_file()

    def test_a_profile_is_linked_from_the_report(self, spec: Any, tmp_path: Path) -> None:
        _, ti = execute(make(IngestOperator, spec=spec, profile="cprofile", profile_stage="none"))
        account: Any = StageReport.model_validate(ti.xcoms[REPORT_KEY]).details["profile"]
        folder = tmp_path / "work" / "dag" / "run" / "profiles" / "ingest-task"
        assert account["uri"] == str(folder)
        assert account["files"] == {path.name: path.stat().st_size for path in folder.iterdir()}

    def test_another_stages_task_is_not_profiled(self, spec: Any) -> None:
        _, ti = execute(make(IngestOperator, spec=spec, profile="cprofile", profile_stage="inference"))
        assert "profile" not in StageReport.model_validate(ti.xcoms[REPORT_KEY]).details

    def test_a_profile_that_cannot_be_made_fails_at_once(self, spec: Any) -> None:
        with pytest.raises(
            AirflowFailException, match=r"profile is 'torch', but model\.runtime is 'onnxruntime'"
        ):
            execute(make(IngestOperator, spec=spec, profile="torch"))

    def test_what_a_retry_may_mend_is_left_to_airflow(self, spec: Any, tmp_path: Path) -> None:
        spec["source"]["uri"] = str(tmp_path / "not-there-yet")
        with pytest.raises(SourceError, match="No such file"):
            execute(make(IngestOperator, spec=spec))
        (report,) = load_stage_reports(Folder.open(str(tmp_path / "work" / "dag" / "run")))
        assert report.state == "failed"

    def test_what_it_may_not_fails_at_once(self, spec: Any) -> None:
        refs, _ = execute(make(IngestOperator, spec=spec))
        spec["model"]["uri"] = "/nowhere.onnx"
        with pytest.raises(AirflowFailException, match=r"ModelNotFoundError: .*/nowhere\.onnx"):
            execute(make(PreprocessOperator, spec=spec, shard=refs))

    def test_the_deployment_bounds_the_shards(self, spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__AIOPT__MAX_SHARDS", "1")
        with pytest.raises(AirflowFailException, match=r"shards is 2; \[aiopt\] max_shards allows 1"):
            execute(make(IngestOperator, spec=spec))


class TestShards:
    def test_one_reference(self) -> None:
        assert parse_refs("ingest/00000") == [ShardRef("ingest", "00000")]

    def test_several(self) -> None:
        refs = ["ingest/00000", "ingest/00001"]
        assert list(map(str, parse_refs(refs))) == refs

    def test_lists_from_several_mapped_tasks_keep_their_order(self) -> None:
        nested = [["ingest/00002"], "ingest/00000", [["ingest/00001"], []]]
        assert [ref.shard for ref in parse_refs(nested)] == ["00002", "00000", "00001"]

    def test_none(self) -> None:
        assert parse_refs([]) == []

    def test_the_outputs_of_mapped_tasks_are_fetched_at_once(self) -> None:
        outputs = MappedOutputs([f"ingest/{number:05d}" for number in range(50)])
        assert len(parse_refs(outputs)) == 50
        assert outputs.requests == 1

    @pytest.mark.parametrize("value", ["", "photo.jpg", "ingest/0", "ingest/00000/", "['ingest/00000']"])
    def test_a_text_that_is_no_reference(self, value: str) -> None:
        with pytest.raises(ShardError, match=re.escape(repr(value))):
            parse_refs(value)

    @pytest.mark.parametrize("value", [None, 7, {"ingest": "00000"}], ids=repr)
    def test_another_value_says_what_to_pass(self, value: object) -> None:
        with pytest.raises(ShardError, match=r"found .*Pass the output .*shard=ingest\.output"):
            parse_refs(value)


@pytest.mark.parametrize("operator", SHARD_OPERATORS, ids=lambda operator: operator.__name__)
def test_another_tasks_output_is_a_dependency(operator: type[ShardOperator]) -> None:
    with DAG("dag", schedule=None):
        ingest = IngestOperator(task_id="ingest", spec={})
        task = operator(task_id="next", spec={}, shard=ingest.output)
    assert task.upstream_task_ids == {"ingest"}


@pytest.mark.parametrize("operator", SHARD_OPERATORS, ids=lambda operator: operator.__name__)
def test_it_can_be_mapped(operator: type[ShardOperator]) -> None:
    with DAG("dag", schedule=None) as dag:
        ingest = IngestOperator(task_id="ingest", spec={})
        operator.partial(task_id="next", spec={}).expand(shard=ingest.output)
    assert dag.get_task("next").upstream_task_ids == {"ingest"}
