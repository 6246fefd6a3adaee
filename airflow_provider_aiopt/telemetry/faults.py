"""What is wrong with a JSON that should be one of the models."""

from __future__ import annotations

from pydantic import ValidationError


def first_fault(error: ValidationError, whole: str) -> str:
    """Return the first thing that is wrong, as ``KEY: REASON``.

    :param error: what pydantic raised
    :param whole: what to call the place where no key is at fault, such as ``the file``
    """
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"
