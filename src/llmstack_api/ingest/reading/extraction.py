"""The process that reads files: one at a time, within limits, until its input ends."""

import os
import resource
import signal
import sys
from contextlib import suppress
from math import ceil
from typing import BinaryIO

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.confinement import confine
from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.frames import LENGTHS, Limits, pack_answer, unpack_request
from llmstack_api.ingest.reading.source import Source

READY = b"\x06"
MOST_FILES = 200
MOST_GROWTH = 192 * 1024 * 1024
_OPEN_FILES = 64
_PARENT_DEATH = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Read requests from standard input and write answers to what standard output was."""
    parent = int(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not get among the frames
    _restrict(parent)
    answers.write(READY)
    base = _memory()[1]
    for number in range(MOST_FILES):
        request = _receive(sys.stdin.buffer)
        if request is None:
            return
        answer = _answer(*request)
        del request
        keep = number + 1 < MOST_FILES and _memory()[1] - base < MOST_GROWTH
        head, data = pack_answer(answer, keep=keep)
        del answer
        _send(answers, head)
        _send(answers, data)
        if not keep:
            return


def _restrict(parent: int) -> None:
    """No files written, no programs started, no core dumped, dead with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the server's to handle
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(what, (most, most))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 # for this call only, and only here does it exist

        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(0)
    confine()


def _receive(stream: BinaryIO) -> tuple[Source, Limits] | None:
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_length, data_length = LENGTHS.unpack(lengths)
    head = stream.read(head_length)
    data = stream.read(data_length)
    return unpack_request(head, data) if len(data) == data_length else None


def _send(stream: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


def _answer(source: Source, limits: Limits) -> Document | ExtractError:
    try:
        _limit_time(limits)
        read = find_reader(source)
        _limit_memory(limits)  # what was imported so far is no file's fault
        return read()
    except ExtractError as error:
        return error
    except MemoryError:
        return ExtractError("Reading the file takes too much memory.", code="out-of-memory")
    except RecursionError:
        return ExtractError("The file is nested too deeply.", code="corrupt")
    except Exception as error:  # noqa: BLE001 # readers meet what no one foresaw: it is the file's fault, and has to be answered
        return ExtractError(f"The file cannot be read ({type(error).__name__}).", code="corrupt")
    finally:
        with suppress(ValueError, OSError):
            _lift()


def _limit_memory(limits: Limits) -> None:
    """Set the limit of this file: on top of what the process has taken before."""
    if sys.platform == "linux":  # elsewhere the address space cannot be limited so
        resource.setrlimit(resource.RLIMIT_AS, (_memory()[0] + limits.memory, resource.RLIM_INFINITY))


def _limit_time(limits: Limits) -> None:
    """Set what this file may take of the processor; the server has lost patience by then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = ceil(used.ru_utime + used.ru_stime + 2 * limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def _lift() -> None:
    """Give the answer room: what was read within the limits can be written without."""
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _memory() -> tuple[int, int]:
    """Bytes of address space and of memory that the process has."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 # pathlib is one more import
            total, resident, *_ = file.read().split()
    except OSError:
        return 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(total) * _PAGE, int(resident) * _PAGE


if __name__ == "__main__":
    main()
