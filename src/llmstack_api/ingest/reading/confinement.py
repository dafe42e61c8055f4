"""What the process that reads files may not do, as the kernel keeps it: write, start programs, connect."""

import os
import sys
from ctypes import CDLL, Structure, byref, c_long, c_size_t, c_uint64, c_void_p, get_errno, sizeof

_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
"""System calls of Landlock: the same number on every architecture that has CPython wheels."""
_ASK_VERSION = 1

_EXECUTE = 1 << 0
_WRITE = 1 << 1
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))
_MOVE = 1 << 13
_TRUNCATE = 1 << 14
_DEVICES = 1 << 15
_FILES = (
    (1, _EXECUTE | _WRITE | _REMOVE_AND_MAKE),
    (2, _MOVE),
    (3, _TRUNCATE),
    (5, _DEVICES),
)
"""Rights, each with the version that knows them first."""
TCP_SINCE = 4
_SCOPES_SINCE = 6
_BIND_AND_CONNECT = 0b11
_SOCKETS_AND_SIGNALS = 0b11
"""Abstract sockets of other processes, and signals to them."""


class _Ruleset(Structure):
    """What is denied wherever no rule allows it; there are no rules."""

    _fields_ = (("files", c_uint64), ("network", c_uint64), ("scopes", c_uint64))
    files: int
    network: int
    scopes: int


def landlock_version() -> int:
    """Return the version of Landlock that the kernel has; 0 is none, or one that may not be asked."""
    if sys.platform != "linux":
        return 0
    return max(_system_call(_CREATE_RULESET, c_void_p(None), c_size_t(0), c_long(_ASK_VERSION)), 0)


def confine() -> None:
    """Take from this process, for good, all that reading a file does not need and the kernel can refuse.

    It has one thread yet, and no file open but pipes, which stay as they are. A kernel without Landlock takes nothing:
    the limits of the process are all there is then, and `llmstack-api doctor` says so.

    Raises:
        OSError: the kernel has Landlock, but did not do it.
    """
    version = landlock_version()
    if not version:
        return
    denied = _Ruleset(files=sum(rights for since, rights in _FILES if since <= version))
    size = sizeof(c_uint64)
    if version >= TCP_SINCE:
        denied.network = _BIND_AND_CONNECT
        size *= 2
    if version >= _SCOPES_SINCE:
        denied.scopes = _SOCKETS_AND_SIGNALS
        size = sizeof(_Ruleset)
    _check(_library().prctl(_PR_SET_NO_NEW_PRIVS, c_long(1), c_long(0), c_long(0), c_long(0)))
    ruleset = _check(_system_call(_CREATE_RULESET, byref(denied), c_size_t(size), c_long(0)))
    try:
        _check(_system_call(_RESTRICT_SELF, c_long(ruleset), c_long(0)))
    finally:
        os.close(ruleset)


def _library() -> CDLL:
    return CDLL(None, use_errno=True)


def _system_call(number: int, *arguments: object) -> int:
    call = _library().syscall
    call.restype = c_long
    return call(c_long(number), *arguments)


def _check(result: int) -> int:
    if result < 0:
        number = get_errno()
        raise OSError(number, os.strerror(number))
    return result
