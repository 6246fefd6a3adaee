"""Bytes that are moved between stages and to a device."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.facts import Facts, StageFacts
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import AMDAHL, Finding, Rule
from airflow_provider_aiopt.telemetry.evidence import ColumnFacts
from airflow_provider_aiopt.telemetry.units import share, size

_BYTES = {"uint8": 1, "int16": 2, "int32": 4, "float32": 4, "float64": 8, "int64": 8, "uint64": 8}
_ORDER = ("uint8", "int16", "int32", "float32")
_HOST_SHARE = 0.75  # of the bytes that uint8 saves beside float32


def _narrow(facts: Facts) -> Finding | None:
    prepare, infer = facts.stage("preprocess"), facts.stage("inference")
    if prepare is None or infer is None or facts.setting("preprocess.kind") != "custom":
        return None
    columns = prepare.evidence.columns
    wanted = [dtype for column in columns if (dtype := _narrower(column))]
    if not wanted:
        return None
    dtype = max(wanted, key=_ORDER.index)  # one that holds all of them
    before = sum(column.row_bytes for column in columns)
    after = sum(_row_bytes(column, dtype) for column in columns)
    handling = max(0.0, infer.compute_s - infer.call_s / infer.lanes / infer.concurrency)
    moved = handling
    if not facts.streamed:
        moved += prepare.summary.wait_output_s / prepare.concurrency + _kernel_s(prepare)
        moved += infer.summary.wait_input_s / infer.concurrency
    return Finding(
        title=f"Prepared records take {size(before)} each as "
        f"{', '.join(sorted({c.dtype for c in columns}))}: "
        f"moving them took {share(min(1.0, moved / facts.elapsed_s))} of the run",
        evidence=(
            f"the values fit {dtype}: {size(after)} a record",
            f"{size(prepare.summary.bytes_out)} written between preprocess and inference",
        ),
        changes=(Change(scope="spec", key="preprocess.store_as", value=dtype),),
        saved_s=moved * (1 - after / before),
    )


def _kernel_s(stage: StageFacts) -> float:
    """Return what of a stage's work the kernel did: it hands out pages of memory and copies them to files."""
    return stage.compute_s * min(1.0, stage.system_s / stage.process_cpu_s) if stage.process_cpu_s else 0.0


def _narrower(column: ColumnFacts) -> str | None:
    wide = _BYTES.get(column.dtype, 0)
    if column.holds in _ORDER and _BYTES[column.holds] < wide:
        return column.holds
    return "float32" if column.dtype == "float64" else None


def _row_bytes(column: ColumnFacts, dtype: str) -> int:
    wide = _BYTES.get(column.dtype, 1)
    return column.row_bytes * _BYTES[dtype] // wide if _BYTES[dtype] < wide else column.row_bytes


def _normalised_by_host(facts: Facts) -> Finding | None:
    stage = facts.stage("inference")
    where = stage.detail("normalisation") if stage else None
    if stage is None or not isinstance(where, str) or not where.startswith("host:"):
        return None
    handling = max(0.0, stage.compute_s - stage.call_s / stage.lanes)
    return Finding(
        title="The host normalises images and sends the device four times the bytes of their pixels",
        evidence=(where,),
        changes=(Change(scope="command", key="pip install 'airflow-provider-aiopt[gpu]'"),),
        saved_s=handling * _HOST_SHARE,
    )


RULES = (
    Rule(
        name="transfer.wide-columns",
        family="transfer",
        finds="records kept in wider numbers than their values need, such as int64 made float64",
        changes="`preprocess.store_as`",
        formula="saved = (waits to write and read what lies between preprocess and inference, "
        "feeding it, and the kernel's share of preparing it) x (1 - new bytes / bytes)",
        assumptions="that time grows with the bytes, as the kernel's does that hands out memory and copies "
        "it to files; the first batch shows what the values are, and an integer type that does not hold a "
        "later one fails the task",
        reason=AMDAHL,
        look=_narrow,
    ),
    Rule(
        name="transfer.normalised-by-host",
        family="transfer",
        finds="float32 sent to a device that could make it of uint8",
        changes="install the extra `gpu`",
        formula="saved = 3/4 of inference's time beside the calls",
        assumptions="that time grows with the bytes",
        reason=AMDAHL,
        look=_normalised_by_host,
    ),
)
