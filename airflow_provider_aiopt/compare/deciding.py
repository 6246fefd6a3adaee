"""From a comparison's summary to what follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_aiopt.compare.models import Verdict
from airflow_provider_aiopt.compare.variants import Overrides, read_overrides
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder
from airflow_provider_aiopt.exceptions import ComparisonError


class Decision(BaseModel):
    """The pipeline to go on with.

    :param winner: its name
    :param verdict: why: ``better``, where it is a variant
    :param metric: the metric that was judged
    :param overrides: values by dotted key that replace those of the spec; none for the baseline
    :param report_uri: where all figures are
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    winner: str
    verdict: Verdict
    metric: str
    overrides: dict[str, Any] = {}
    report_uri: str | None = None


def decide(summary: Any, variants: Overrides | str | None) -> Decision:
    """Return what follows from a comparison.

    :param summary: what the ``CompareOperator`` returned
    :param variants: the settings of the variants, where these are known
    :raises ComparisonError: if it is no comparison
    """
    try:
        decision = Decision.model_validate(summary)
    except ValidationError as error:
        raise ComparisonError(
            f"comparison must be the output of a CompareOperator; found {summary!r:.200}"
        ) from error
    overrides = read_overrides(variants) if variants else {}
    return decision.model_copy(update={"overrides": overrides.get(decision.winner, {})})


def check_follow(verdicts: Iterable[str]) -> None:
    """Refuse verdicts that there are not.

    :param verdicts: keys of ``follow``
    :raises ComparisonError: naming those that are known
    """
    if unknown := sorted(set(verdicts) - set(get_args(Verdict))):
        raise ComparisonError(
            f"follow names {', '.join(unknown)}; verdicts are {', '.join(get_args(Verdict))}"
        )


def publish(decision: Decision, uri: str, *, resolver: FileSystemResolver) -> None:
    """Write a decision to a JSON file, whole or not at all.

    :param decision: what to write
    :param uri: the file's path or URL
    :param resolver: how to find its file system
    :raises StorageError: if it cannot be written
    """
    folder, _, name = uri.rpartition("/")
    content: Mapping[str, Any] = decision.model_dump()
    Folder.open(folder or ".", resolver=resolver).write(name, (json.dumps(content, indent=2) + "\n").encode())
