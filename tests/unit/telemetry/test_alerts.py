from __future__ import annotations

from airflow_provider_aiopt.telemetry.alerts import StageAlert
from airflow_provider_aiopt.telemetry.thresholds import Breach

SLOW = Breach("inference", "seconds", 12.3, 5.0, "80.0 % of it was computing")
BAD = Breach("preprocess", "bad_fraction", 0.12, 0.01, "3 records are in quarantine")


def test_one_breach() -> None:
    alert = StageAlert("photos", "r+1", [SLOW], "https://a/x", task="classify[3]")
    assert alert.subject == "photos: inference took 12.3 s; its limit is 5.00 s"
    assert (
        alert.text
        == str(alert)
        == (
            "DAG photos, run r+1, task classify[3]:\n"
            "- inference took 12.3 s; its limit is 5.00 s. 80.0 % of it was computing.\n"
            "Stage timings: https://a/x"
        )
    )


def test_several() -> None:
    alert = StageAlert("photos", "r", [SLOW, BAD], "/x")
    assert alert.subject.endswith("its limit is 5.00 s (and 1 more)")
    assert alert.text.splitlines()[0] == "DAG photos, run r:"
    assert "- preprocess quarantined 12.0 % of its records; at most 1.0 % may be. 3 records" in alert.text
