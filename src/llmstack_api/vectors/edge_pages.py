"""The memory that a shard's files take in this process, given back to the system's cache.

Edge maps its files, and reads three of them whole when it opens them. What it has written or read once stays part of
the process for good, though searches need a fraction of it.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

_DONT_NEED: Final = 4
"""Linux's MADV_DONTNEED: for shared maps of files it drops the process's view of pages, and no data."""


def forget_pages(folder: Path) -> None:
    """Drop the process's view of what is mapped from files below a folder; what is needed again costs a page fault.

    Only between calls to Edge, and in the thread that makes them: nothing else maps or unmaps its files.
    """
    if sys.platform != "linux":
        return
    inside = f"{os.path.realpath(folder)}/"
    libc = ctypes.CDLL(None)
    # One read: the list must not change in between.
    for line in Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines():
        if inside not in line:
            continue
        span, mode, *_ = line.split(maxsplit=2)
        if mode.endswith("s"):  # shared; of a private map, data would be lost
            start, end = (int(address, 16) for address in span.split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONT_NEED)
