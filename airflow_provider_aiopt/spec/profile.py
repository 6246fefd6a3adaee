"""What a user may ask of a profiler."""

from __future__ import annotations

from typing import Literal, get_args

ProfileKind = Literal["cprofile", "line", "torch", "onnxruntime", "syscalls", "pyspy"]

PROFILE_KINDS: tuple[str, ...] = get_args(ProfileKind)
"""The profilers, by the names under which they are asked for."""

NO_PROFILE = "none"
"""Asks for no profiler, and as a stage for no particular one, where a choice has to say something."""
