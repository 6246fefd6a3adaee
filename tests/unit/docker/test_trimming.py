from __future__ import annotations

import pytest
from trimming import PACKAGES, is_trimmed, kept_records


@pytest.mark.parametrize(
    "path",
    [
        "numpy/_core/tests/test_dtype.py",
        "numpy/_core/include/numpy/arrayobject.h",
        "pyarrow/libarrow_flight.so.2600",
        "pyarrow/_flight.cpython-311-x86_64-linux-gnu.so",
        "onnxruntime/transformers/optimizer.py",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "pydantic/__pycache__/main.cpython-311.pyc",
    ],
)
def test_left_out(path: str) -> None:
    assert is_trimmed(path)


@pytest.mark.parametrize(
    "path",
    [
        "numpy/testing/__init__.py",
        "pyarrow/libarrow.so.2600",
        "pyarrow/dataset.py",
        "onnxruntime/capi/onnxruntime_inference_collection.py",
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "botocore/data/sso-oidc/2019-06-10/service-2.json.gz",
        "botocore/data/endpoints.json",
        "other/botocore/data/ec2/service-2.json",
    ],
)
def test_kept(path: str) -> None:
    assert not is_trimmed(path)


def test_each_pattern_has_a_reason() -> None:
    assert all(len(reason) > 10 for reason in PACKAGES.values())


def test_a_record_names_only_what_is_there() -> None:
    record = 'a/b.py,sha256=x,12\n"a/t,1.py",sha256=y,3\na/c.py,,\n'
    assert kept_records(record, {"a/t,1.py", "a/c.py"}) == "a/b.py,sha256=x,12\n"
