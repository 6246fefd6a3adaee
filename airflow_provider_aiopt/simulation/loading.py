"""Measured runs from where they lie to a calibration."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.simulation.service import Calibration
from airflow_provider_aiopt.telemetry.faults import first_fault
from airflow_provider_aiopt.telemetry.reports import RunReport


class _Kind(BaseModel):
    """What tells the two kinds of files apart."""

    steps: object = None


def read_file(content: bytes, name: str) -> RunReport | Calibration:
    """Return the run report, or the calibration, that a file holds.

    :param content: the file
    :param name: what to call it
    :raises ReportError: if it is neither
    """
    try:
        kind = RunReport if _Kind.model_validate_json(content).steps is None else Calibration
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise ReportError(
            f"{name} is neither a run report (aiopt report RUN --json) nor a calibration "
            f"(aiopt simulate RUN --save-calibration FILE): {first_fault(error, 'the file')}"
        ) from error
