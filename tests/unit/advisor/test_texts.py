from __future__ import annotations

from advisor_reports import SICK, healthy

from airflow_provider_aiopt.advisor.diagnosis import diagnose
from airflow_provider_aiopt.advisor.models import Diagnosis
from airflow_provider_aiopt.advisor.texts import advice, explanation, one_line


def test_one_line_says_what_limits_the_run_and_what_to_change() -> None:
    line = one_line(diagnose(SICK["storage.readers"]()))
    assert line.startswith("Limited by storage. Set source.readers = 32 (now 4): 1.73 times as fast, ")
    assert "\n" not in line


def test_without_a_recommendation_it_says_so() -> None:
    assert one_line(Diagnosis(elapsed_s=1)) == "Nothing stands out"
    line = one_line(Diagnosis(elapsed_s=1, limit="inference", shares={"inference": 0.9}))
    assert line == "Limited by inference (90.0 % of the run); nothing to change is known"


def test_what_depends_on_something_is_promised_with_a_perhaps() -> None:
    assert "perhaps" in explanation(diagnose(SICK["preprocessing.no-cache"]()))


def test_the_explanation_has_the_numbers_the_formula_and_its_source() -> None:
    diagnosis = diagnose(SICK["inference.threads"]())
    text = explanation(diagnosis)
    first = diagnosis.recommendations[0]
    for part in (first.title, *first.evidence, first.formula, first.assumptions, first.reason, first.rule):
        assert part in text


def test_the_pages_get_titles_and_texts() -> None:
    (found, *_) = advice(diagnose(SICK["preprocessing.workers"]()))
    assert found.title == "1 worker left cores idle in 69.8 % of the run"
    assert "execution.workers = 4 (now 1)" in found.text
    assert isinstance(advice(diagnose(healthy())), tuple)
