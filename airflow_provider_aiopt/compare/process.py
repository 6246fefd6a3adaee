"""One run of a pipeline, in a process of its own: ``python -m airflow_provider_aiopt.compare.process``.

It reads what to run from standard input, as JSON.
"""

from __future__ import annotations

import json
import sys

from airflow_provider_aiopt.compare.running import Variant, run_variant
from airflow_provider_aiopt.data.folder import resolve_filesystem
from airflow_provider_aiopt.exceptions import AioptError
from airflow_provider_aiopt.spec.loading import load_spec


def main() -> int:
    """Run it.

    :returns: the exit code
    """
    request = json.load(sys.stdin)
    try:
        run_variant(
            Variant(request["name"], load_spec(request["spec"]), request["mode"]),
            request["workspace"],
            resolver=resolve_filesystem,
            allowed_callables=tuple(request["allowed_callables"]),
        )
    except AioptError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
