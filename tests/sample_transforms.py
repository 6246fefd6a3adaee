"""Transforms that tests name by dotted path, as a deployment's own package would hold them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_provider_aiopt.exceptions import RecordTooLargeError


class Plain:
    """Bytes as float32 vectors of a fixed length; payloads can say what shall go wrong."""

    def __init__(self, *, length: int = 2, version: str = "1") -> None:
        self.length = length
        self.version = version

    def prepare(self, payloads: Sequence[bytes]) -> tuple[Mapping[str, Any], Mapping[int, Any]]:
        rows, errors = [], {}
        for position, payload in enumerate(payloads):
            if payload == b"raise":
                raise ZeroDivisionError("division by zero")
            if payload == b"crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if payload == b"hang":
                ctypes.PyDLL(None).pause()  # it holds the interpreter lock: nothing but a kill stops it
            if payload == b"wait":
                threading.Event().wait(30)
            if payload == b"bad":
                errors[position] = "it says so"
            elif payload == b"large":
                errors[position] = RecordTooLargeError("too large")
            elif payload == b"odd":
                errors[position] = ValueError("odd")
            else:
                rows.append(np.frombuffer(payload.ljust(self.length, b"\0")[: self.length], np.uint8))
        return {"values": np.stack(rows) if rows else np.empty((0, self.length), np.uint8)}, errors

    def feeds(self, columns: Mapping[str, Any], inputs: Sequence[Any]) -> Mapping[str, Any]:
        return {inputs[0].name: columns["values"].astype(np.float32)}


class ProcessOnly(Plain):
    """Where each record was prepared."""

    def prepare(self, payloads: Sequence[bytes]) -> tuple[Mapping[str, Any], Mapping[int, Any]]:
        rows = np.full((len(payloads), 2), [os.getpid() % 1000, threading.get_native_id() % 1000], np.float32)
        return {"values": rows}, {}


class Waiting(Plain):
    """Takes its time for each batch, without a core."""

    def prepare(self, payloads: Sequence[bytes]) -> tuple[Mapping[str, Any], Mapping[int, Any]]:
        threading.Event().wait(0.05)
        return super().prepare(payloads)


class Ragged:
    """Texts as lists of different lengths, flags, names and numbers."""

    version = "1"

    def prepare(self, payloads: Sequence[bytes]) -> tuple[Mapping[str, Any], Mapping[int, Any]]:
        lists = [list(payload) for payload in payloads]
        return {
            "bytes": pa.array(lists, pa.list_(pa.uint8())),
            "long": np.array([len(values) > 1 for values in lists]),
            "name": [payload.decode() for payload in payloads],
            "matrix": np.ones((len(lists), 2, 3), np.float16),
        }, {}

    def feeds(self, columns: Mapping[str, Any], inputs: Sequence[Any]) -> Mapping[str, Any]:
        sums = [sum(values) for values in columns["bytes"].to_pylist()]
        assert isinstance(columns["long"], np.ndarray)
        assert columns["matrix"].shape == (len(sums), 2, 3)
        return {
            inputs[0].name: np.array(
                [[total, len(name)] for total, name in zip(sums, columns["name"].to_pylist(), strict=True)],
                np.float32,
            )
        }


class Answering:
    """Returns what its arguments say, which is JSON, for ``prepare`` or for ``feeds``."""

    version = "1"

    def __init__(self, *, prepared: Any = None, fed: Any = None, kind: str = "array") -> None:
        self.prepared = prepared
        self.fed = fed
        self.kind = kind

    def prepare(self, payloads: Sequence[bytes]) -> Any:
        if self.prepared is None:
            return {"values": np.zeros((len(payloads), 2), np.float32)}, {}
        if self.kind == "text":
            return json.dumps(self.prepared)
        if self.kind == "single":
            return self.prepared
        columns, errors = self.prepared
        if isinstance(errors, dict):
            errors = {int(key) if key.isdecimal() else key: error for key, error in errors.items()}
        return columns, errors

    def feeds(self, columns: Mapping[str, Any], inputs: Sequence[Any]) -> Any:
        if self.fed == "raise":
            columns["values"][0] = 1  # read-only
        if isinstance(self.fed, dict):
            return {
                name: np.zeros(shape, np.float32) if isinstance(shape, list) else shape
                for name, shape in self.fed.items()
            }
        return self.fed


class Growing:
    """Makes wider rows from one batch to the next."""

    version = "1"

    def __init__(self) -> None:
        self.width = 1

    def prepare(self, payloads: Sequence[bytes]) -> Any:
        self.width += 1
        return {"values": np.zeros((len(payloads), self.width), np.float32)}, {}

    def feeds(self, columns: Mapping[str, Any], inputs: Sequence[Any]) -> Any:
        raise NotImplementedError


class NoVersion(Plain):
    def __init__(self) -> None:
        super().__init__(version="")


def fails() -> None:
    raise OSError("the weights are missing")


def returns_nothing() -> None:
    """No transform at all."""


def dies_in_a_process() -> Plain:
    """A transform that only the process which began can make."""
    if os.environ.get("AIOPT_TEST_PARENT") != str(os.getpid()):
        os._exit(9)
    return Plain()
