"""Making results of the model's outputs."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.facts import Facts
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import AMDAHL, Finding, Rule
from airflow_provider_aiopt.telemetry.units import duration, share, size

_FEW = 5
_MANY = 20


def _top_k(facts: Facts) -> Finding | None:
    stage, top_k = facts.stage("postprocess"), facts.number("postprocess.top_k")
    if stage is None or top_k is None or top_k <= _MANY:
        return None
    listing = stage.compute_s if facts.streamed else stage.compute_s + stage.summary.wait_output_s
    return Finding(
        title=f"Listing {top_k} labels for each record took {share(listing / facts.elapsed_s)} of the run",
        evidence=(f"{duration(listing)}, {size(stage.summary.bytes_out)} of results",),
        changes=(Change(scope="spec", key="postprocess.top_k", value=_FEW, before=top_k),),
        saved_s=listing * (1 - _FEW / top_k),
    )


RULES = (
    Rule(
        name="postprocessing.top-k",
        family="postprocessing",
        finds="results with more labels than anybody reads",
        changes="`postprocess.top_k`",
        formula="saved = postprocess x (1 - 5 / top_k)",
        assumptions="the time grows with the labels; nobody needs more than five",
        reason=AMDAHL,
        look=_top_k,
        kind="conditional",
    ),
)
