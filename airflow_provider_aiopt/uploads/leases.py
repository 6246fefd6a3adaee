"""Asking the kernel whether anybody on this machine has a file open for writing."""

from __future__ import annotations

import errno
import fcntl
import os
import signal

_LEASE = getattr(fcntl, "F_SETLEASE", None)  # Linux alone has leases
_SIGNAL = getattr(fcntl, "F_SETSIG", None)


def is_closed(path: str) -> bool | None:
    """Return whether nobody has a file open for writing, None where that cannot be told.

    The kernel grants a read lease only then.  It is given back at once.  Should a writer come in that very
    moment, it waits for these microseconds, and the kernel tells this process by a signal: SIGURG, which a
    process ignores unless it asks for it, in the place of SIGIO, which would end it.
    """
    if _LEASE is None or _SIGNAL is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # not readable: whoever reads it later will say so
        return None
    try:
        fcntl.fcntl(descriptor, _SIGNAL, signal.SIGURG)
        fcntl.fcntl(descriptor, _LEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, _LEASE, fcntl.F_UNLCK)
    except OSError as error:
        # Others: not our file, or a file system without leases.
        return False if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)
    return True
