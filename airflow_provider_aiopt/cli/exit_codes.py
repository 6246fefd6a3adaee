"""The exit codes of ``aiopt``, and where they come from.

====  ====================================================================================================
Code  Meaning
====  ====================================================================================================
0     it worked
1     it failed with an error of this package; the message on standard error says what to do
2     the command line is wrong; standard error shows the usage
3     a failure that another attempt would meet again: of ``aiopt stage``, or a model that ``aiopt model``
      refuses because it differs too much from the original
4     ``aiopt compare``: a variant is worse than the baseline
5     ``aiopt compare``: inconclusive
130   interrupted from the keyboard (128 + SIGINT)
141   the reader of standard output went away, as in ``aiopt report RUN --json | head`` (128 + SIGPIPE)
143   told to end (128 + SIGTERM); like the keyboard's, it ends threads and removes temporary files
====  ====================================================================================================

A bug shows as a traceback, with code 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

from airflow_provider_aiopt.exceptions import AioptError


class ExitCode(IntEnum):
    """What the process returns; see the module's table."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NO_RETRY = 3
    WORSE = 4
    INCONCLUSIVE = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


def guarded(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command and turn the errors that it may end with into a message and an exit code.

    :param run: the ``run`` of a :class:`~airflow_provider_aiopt.cli.command.Command`
    :param arguments: the parsed command line
    :returns: the exit code
    """
    try:
        with _terminable():
            code = run(arguments)
            sys.stdout.flush()
    except AioptError as error:
        complain(str(error))
        return ExitCode.FAILURE
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it ends: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.BROKEN_PIPE
    except _Terminated:
        complain("told to end")
        return ExitCode.TERMINATED
    except KeyboardInterrupt:
        complain("interrupted")
        return ExitCode.INTERRUPTED
    return code


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as an error that unwinds whatever runs."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Unwind the block on SIGTERM, whose own effect is to end the process where it stands."""

    def end(_: int, __: FrameType | None) -> None:
        raise _Terminated

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # somebody else's to decide
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def complain(message: str) -> None:
    """Write a message about what went wrong to standard error.

    :param message: what, and what to do
    """
    sys.stderr.write(f"aiopt: {message}\n")
