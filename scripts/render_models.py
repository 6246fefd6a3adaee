"""Render the table of models' forms in ``docs/models.md`` from ``benchmarks/results/models.json``.

With ``--check`` nothing is written: the exit code is 1 where the page is not up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models.md"
RESULTS = ROOT / "benchmarks" / "results" / "models.json"
BEGIN = "<!-- rendered by scripts/render_models.py -->\n"
END = "<!-- end of what is rendered -->\n"

_MEGABYTE = 1e6


def rendered(page: str, results: Mapping[str, Any]) -> str:
    """Return the page with the figures of *results* between its two marks.

    :param page: the page
    :param results: what ``make bench-models`` wrote
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks one of its marks: {BEGIN.strip()} or {END.strip()}")
    return f"{head}{begin}\n{figures(results)}\n{end}{tail}"


def figures(results: Mapping[str, Any]) -> str:
    """Return a table for each model, with a line for each form and device, and what they depend on."""
    machine, versions = results["machine"], results["versions"]
    vnni = " with VNNI" if machine["vnni"] else ""
    where = f"{machine['cpu']}, {machine['cores_used']} cores{vnni}; ONNX Runtime {versions['onnxruntime']}"
    how = f"{results['rounds']} rounds of {results['calls']} calls each, in turns"
    parts = [f"{where}; {results['date'][:10]}; {how}."]
    for name in dict.fromkeys(item["model"] for item in results["models"]):
        every = [item for item in results["models"] if item["model"] == name]
        parts.append(_table(name, every))
    if all(item["device"] == "cpu" for item in results["models"]):
        parts.append("On a GPU: not measured; there was none.")
    return "\n\n".join(parts) + "\n"


def _table(name: str, every: list[Mapping[str, Any]]) -> str:
    sizes = list(every[0]["forms"][0]["latency"])
    head = ["form", "on", "MB"]
    for size in sizes:
        head += [f"p50, p95 at {size}, ms", f"items/s at {size}"]
    head += ["same first answer", "mean, largest error", "gate"]
    lines = [
        f"**{name}**, over {every[0]['records']} records: {every[0]['data']}.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    lines += [_line(item["device"], form) for item in every for form in item["forms"]]
    return "\n".join(lines)


def _line(device: str, form: Mapping[str, Any]) -> str:
    cells = [form["form"], device, f"{form['size_bytes'] / _MEGABYTE:.1f}"]
    for latency in form["latency"].values():
        cells += [
            f"{latency['p50_s'] * 1e3:.1f}, {latency['p95_s'] * 1e3:.1f}",
            f"{latency['items_per_s']:.0f}",
        ]
    evaluation = form["evaluation"]
    if evaluation is None:
        cells += ["", "", "reference"]
    else:
        errors = f"{evaluation['mean_score_error']:.4f}, {evaluation['max_score_error']:.4f}"
        verdict = "refuses" if form["faults"] else "passes"
        cells += [f"{evaluation['agreement']:.1%}", errors, verdict]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Render, or check, the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is out of date")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    new = rendered(page, json.loads(RESULTS.read_text(encoding="utf-8")))
    if new != page:
        if not check:
            PAGE.write_text(new, encoding="utf-8")
        print(f"{'out of date' if check else 'rendered'}: docs/{PAGE.name}")
    return int(check and new != page)


if __name__ == "__main__":
    sys.exit(main())
