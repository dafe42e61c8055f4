"""What keeps a process small is set at its start, and never against what the environment says."""

import os
import platform
import subprocess
import sys

import pytest

from llmstack_api import footprint

RESERVED = """
import ctypes
from llmstack_api import footprint

footprint.settle()
libc = ctypes.CDLL(None)
fields = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
Info = type("Info", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in fields]})
libc.mallinfo2.restype = Info
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.free(libc.malloc(8 << 20))  # glibc would from now on keep what is smaller
before = libc.mallinfo2().hblkhd
block = libc.malloc(4 << 20)
print(libc.mallinfo2().hblkhd - before >= 4 << 20)
"""
SET = """
import os
from llmstack_api import footprint

footprint.settle()
print(os.environ["OPENBLAS_NUM_THREADS"])
"""


def output(code: str, **extra: str) -> str:
    set_by_us = ("MALLOC_", "OPENBLAS_", "QDRANT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(set_by_us)}
    ran = subprocess.run(  # noqa: S603 # our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=kept | extra
    )
    return ran.stdout.strip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator has no such settings")
def test_large_blocks_go_back_to_the_system_however_large_those_before_were() -> None:
    assert output(RESERVED) == "True"
    assert output(RESERVED, MALLOC_MMAP_THRESHOLD_=str(32 << 20)) == "False"


def test_what_the_environment_says_stays() -> None:
    assert output(SET) == "1"
    assert output(SET, OPENBLAS_NUM_THREADS="3") == "3"


def test_what_was_freed_can_be_given_back_at_any_time() -> None:
    footprint.give_back()
    footprint.give_back()
