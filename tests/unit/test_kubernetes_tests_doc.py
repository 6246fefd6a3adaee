"""docs/kubernetes-tests.md has each test on a real Kubernetes, once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TESTS = REPOSITORY / "tests" / "integration" / "kubernetes" / "test_cluster.py"
PAGE = REPOSITORY / "docs" / "kubernetes-tests.md"


def test_every_test_is_explained() -> None:
    nodes = ast.walk(ast.parse(TESTS.read_text()))
    written = [
        node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    explained = re.findall(r"^\| `(test_\w+)` \| \S", PAGE.read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(written)
