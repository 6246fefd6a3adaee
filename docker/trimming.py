"""What the runtime image leaves out of the packages that it installs, and why.

Runs within the build of the image, with the base image's Python and nothing else.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

STDLIB = (
    *("__pycache__", "site-packages", "dist-packages", "config-*"),
    # Tests, and what a process without a terminal or a screen never opens.
    *("test", "tests", "idlelib", "tkinter", "turtle.py", "turtledemo", "pydoc_data", "sitecustomize.py"),
    *("_tkinter.*", "_curses*.so", "readline.*", "ossaudiodev.*", "nis.*", "_dbm.*", "_gdbm.*"),
    *("_test*.so", "_ctypes_test.*", "xxlimited*", "_xxtestfuzz*"),
    # What would install packages.
    *("ensurepip", "lib2to3"),
)
"""Names within the standard library, at any depth."""

PROGRAMS = ("python*", "dumb-init", "aiopt")
"""The programs of the environment that stay: nobody is there to call the others."""

PACKAGES = {
    "*/__pycache__/*": "compiled anew, for where the image has them",
    "*.sh": "there is no shell",
    "*/tests/*": "tests of the packages themselves",
    "*.pxd": "for compiling against the package",
    "*.pyx": "for compiling against the package",
    "*.pxi": "for compiling against the package",
    "*.pyi": "for type checkers",
    "*.h": "for compiling against the package",
    "*.c": "for compiling against the package",
    "*.a": "for linking against the package",
    "pyarrow/include/*": "for compiling against the package",
    "pyarrow/src/*": "for compiling against the package",
    "pyarrow/*flight*": "an RPC protocol that no stage speaks, 33 MB",
    "pyarrow/*_cpp_tests*": "tests of the packages themselves",
    "pyarrow/libarrow_s3.*": "object stores are reached through fsspec, 17 MB",
    "pyarrow/_s3fs.*": "needs libarrow_s3",
    "pyarrow/_hdfs.*": "object stores are reached through fsspec",
    "pygments/lexers/[!_]*": "rich would colour source code with these, 8 MB",
    "onnxruntime/transformers/*": "makes models; the image runs them",
    "onnxruntime/quantization/*": "makes models; the image runs them",
    "onnxruntime/tools/*": "makes models; the image runs them",
}
"""Patterns of paths below site-packages, with the reason that each is left out."""

BOTOCORE = ("*.json", "s3", "sts", "sso", "sso-oidc", "signin")
"""What stays of botocore's descriptions of 400 services: the store, and what credentials come from."""


def is_trimmed(path: str) -> bool:
    """Tell whether the image leaves out a file.

    :param path: relative to site-packages, with ``/``
    """
    if any(fnmatchcase(path, pattern) for pattern in PACKAGES):
        return True
    folder, _, rest = path.partition("botocore/data/")
    return not folder and bool(rest) and not any(fnmatchcase(rest.split("/")[0], kept) for kept in BOTOCORE)


def kept_records(record: str, trimmed: set[str]) -> str:
    """Return a distribution's ``RECORD`` without the files that are gone.

    :param record: the file's text, a line of CSV for each file
    :param trimmed: paths relative to site-packages
    """
    lines = record.splitlines(keepends=True)
    return "".join(line for line in lines if line.rsplit(",", 2)[0].strip('"') not in trimmed)
