from __future__ import annotations

import shutil

import pytest

from airflow_provider_aiopt.exceptions import MissingExtraError
from airflow_provider_aiopt.profiling.base import ProfileRequest
from airflow_provider_aiopt.profiling.pyspy import PySpySampler


def test_without_py_spy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    sampler = PySpySampler(ProfileRequest("pyspy"))
    with pytest.raises(MissingExtraError, match=r"pip install 'airflow-provider-aiopt\[profiling\]'"):
        sampler.start()
    sampler.abandon()
