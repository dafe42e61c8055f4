"""What keeps a process small: settings of the allocator and of libraries, made before anything asks for them.

Each is glibc's or a library's own; elsewhere, such as on musl or macOS, it has no effect.
"""

import ctypes
import os
from collections.abc import Callable
from typing import Any, Final

ARENAS: Final = 2
"""Heaps that threads share: by default there are eight for each core, and each keeps what it once needed."""

MAPPED_FROM: Final = 1024 * 1024
"""Bytes from which a block goes back to the system when it is freed; by default the bound rises to 32 MiB. Larger than
the arrays that embedding a passage makes, which would cost a page fault for each 4 KiB."""

KEPT_FREE: Final = 4 * 1024 * 1024
"""Free bytes that a heap may have at its end, for the same reason."""

_ARENA_MAX: Final = -8
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1

_ENVIRONMENT: Final = {
    # Vectors are multiplied one text at a time, which is too little for a thread and its buffers on each core.
    "OPENBLAS_NUM_THREADS": "1",
    # The embedded index would map each file twice, and what is read in both ways count twice.
    "QDRANT_NO_MULTI_MMAP": "1",
}


def settle() -> None:
    """Make the settings; what the environment says already stays. For the start of a process that serves or works."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    mallopt = _of_libc("mallopt")
    if mallopt is None:
        return
    if "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(_ARENA_MAX, ARENAS)
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        mallopt(_MMAP_THRESHOLD, MAPPED_FROM)
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        mallopt(_TRIM_THRESHOLD, KEPT_FREE)


def give_back() -> None:
    """Return to the system what was freed, in 1 ms or less; the interpreter's lock is not held."""
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_libc(name: str) -> Callable[..., Any] | None:
    return getattr(ctypes.CDLL(None), name, None)
