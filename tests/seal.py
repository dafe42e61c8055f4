"""Run a command on a machine where nothing can be written: `python seal.py FOLDER NETWORK COMMAND...`.

The whole file system is read-only for it, and every folder for temporary files is empty. Only FOLDER can be written,
which it finds at `writable()`. NETWORK is `host`, or `none` for a loopback of its own. Users may do
so on most Linux machines, and root in a container that may mount: see `tests.sealed`.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PLACES = ("/mnt", "/media", "/srv", "/opt")
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 # to be emptied
CHECKOUT = Path(__file__).parents[1]
NEEDED = {CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)}
NOT_ALLOWED = 97
"""Exit code of a machine that does not let us."""

_NEW_USER, _NEW_MOUNTS, _NEW_NETWORK = 0x10000000, 0x00020000, 0x40000000
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_MOUNT_SETATTR, _AT_RECURSIVE, _READ_ONLY = 442, 0x8000, 1
_SIOCSIFFLAGS, _UP = 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def writable() -> str:
    """Return where a sealed command finds its folder: a place that every machine has, with nothing that it needs."""
    return next(
        place
        for place in PLACES
        if os.path.isdir(place) and not any(path.is_relative_to(place) for path in NEEDED)  # noqa: PTH112 # as below
    )


def main() -> None:
    folder, network, *command = sys.argv[1:]
    try:
        _leave(network)
        _seal(folder)
    except OSError as error:
        sys.stderr.write(f"this machine lets no process have a file system of its own: {error}\n")
        sys.exit(NOT_ALLOWED)
    os.chdir("/")
    os.execvp(command[0], command)  # noqa: S606 # what was asked for


def _leave(network: str) -> None:
    """Take a view of the file system, and a network, of our own."""
    user, group = os.getuid(), os.getgid()
    spaces = _NEW_MOUNTS | (_NEW_NETWORK if network == "none" else 0)
    if _libc.unshare(spaces) < 0:  # we may not, but in a space of users of our own everybody may
        _check(_libc.unshare(spaces | _NEW_USER))
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path("/proc/self", name).write_text(text, encoding="ascii")
    if network == "none":
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))


def _seal(folder: str) -> None:
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    place = writable()
    _mount(folder, place, None, _BIND)
    with _kept() as kept:
        for temporary in filter(os.path.isdir, TEMPORARY):
            _mount("tmpfs", temporary, b"tmpfs", 0)
        for descriptor, path in kept:
            path.mkdir(parents=True, exist_ok=True)
            _mount(f"/proc/self/fd/{descriptor}", str(path), None, _BIND | _RECURSIVE)
    _set_attributes("/", recursive=True, on=_READ_ONLY)
    _set_attributes(place, off=_READ_ONLY)


@contextmanager
def _kept() -> Generator[list[tuple[int, Path]]]:
    """Hold on to what a command needs and would disappear: a checkout, and a Python, in a temporary folder."""
    covered = [path for path in sorted(NEEDED) if any(path.is_relative_to(place) for place in TEMPORARY)]
    outermost = [path for path in covered if not any(other in path.parents for other in covered)]
    descriptors = [(os.open(path, os.O_PATH), path) for path in outermost]
    try:
        yield descriptors
    finally:
        for descriptor, _ in descriptors:
            os.close(descriptor)


def _mount(source: str | None, target: str, kind: bytes | None, flags: int) -> None:
    what = None if source is None else source.encode()
    _check(_libc.mount(what, target.encode(), kind, ctypes.c_ulong(flags), None))


def _set_attributes(path: str, *, on: int = 0, off: int = 0, recursive: bool = False) -> None:
    wanted = struct.pack("4Q", on, off, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    arguments = (-1, path.encode(), flags, wanted, ctypes.c_size_t(len(wanted)))
    _check(_libc.syscall(_MOUNT_SETATTR, *arguments))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno() or errno.EPERM
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
