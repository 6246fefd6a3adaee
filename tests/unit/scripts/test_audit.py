from __future__ import annotations

import pytest
from audit import Audit, pinned, read_report, rounds, waived

REPORT = {
    "dependencies": [
        {"name": "numpy", "version": "2.4.6", "vulns": []},
        {
            "name": "jinja2",
            "version": "2.10",
            "vulns": [{"id": "PYSEC-2019-217", "aliases": ["CVE-2019-10906"], "fix_versions": ["2.10.1"]}],
        },
        {
            "name": "a2wsgi",
            "skip_reason": "Dependency not found on PyPI and could not be audited: a2wsgi (1)",
        },
    ]
}


def test_a_vulnerability_is_one_line() -> None:
    assert read_report(REPORT).flaws == {
        "jinja2 2.10: PYSEC-2019-217 (CVE-2019-10906), fixed in 2.10.1",
    }


def test_what_nobody_answered_about_is_not_counted_as_audited() -> None:
    known = read_report(REPORT)
    assert known.audited == 2
    assert [reason.partition(":")[0] for reason in known.unknown] == [
        "Dependency not found on PyPI and could not be audited"
    ]
    assert known + Audit(audited=3) == Audit(known.flaws, known.unknown, 5)


def test_versions_of_one_package_are_asked_about_apart() -> None:
    pins = pinned(
        "numpy==2.4.6 ; python_version < '3.12'\nnumpy==2.5.5\nrich==15.0.0 \\\n  --hash=sha256:a\n"
    )
    assert list(rounds(pins)) == [["numpy==2.4.6", "rich==15.0.0"], ["numpy==2.5.5"]]


def test_a_waiver_needs_a_reason() -> None:
    assert waived("# why\nGHSA-1 no server is run\n") == {"GHSA-1": "no server is run"}
    with pytest.raises(ValueError, match="GHSA-2 has no reason"):
        waived("GHSA-2\n")
