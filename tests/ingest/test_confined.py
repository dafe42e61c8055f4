"""What the process that reads files may reach: no file to write, no code that somebody may have planted."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from llmstack_api.ingest.reading.child import Child
from llmstack_api.ingest.reading.confinement import landlock_version
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.source import Source
from tests import seal
from tests.ingest.read_everything import FOLDERS, LIMITS, Seen, look_at, read_everything
from tests.sealed import BARE, require_sealing, sealed

TIMEOUT = 100.0
FILES, HANDBOOK = FOLDERS
DOCUMENT = (FILES / "pandoc_slides.pptx").read_bytes()
REPORT = (HANDBOOK / "safety.pdf").read_bytes()
DEADLY = "import os; os._exit(9)\n"
UNREADABLE = {
    "encrypted.docx": "encrypted",
    "encrypted_user.pdf": "encrypted",
    "libreoffice_harbour.doc": "unsupported-type",
    "reportlab_scan.pdf": "no-text",
}
SHARED = (*seal.TEMPORARY, "/run/user")


async def run(*command: str, env: dict[str, str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out


def content(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def outside(mapped: set[str], *folders: Path | str) -> set[str]:
    """Return what is mapped from these folders, and is not of Python or of what is installed beside it."""
    trusted = [sys.prefix, sys.base_prefix, str(seal.CHECKOUT / "src")]
    return {
        path
        for path in mapped
        if any(Path(path).is_relative_to(folder) for folder in folders)
        and not any(Path(path).is_relative_to(folder) for folder in trusted)
    }


@pytest.mark.timeout(240)
async def test_a_file_of_every_kind_is_read_the_same_where_nothing_can_be_written(tmp_path: Path) -> None:
    require_sealing(tmp_path)
    command = (sys.executable, "-m", "tests.ingest.read_everything")
    there: dict[str, Any] = orjson.loads(await run(*sealed(tmp_path, *command), env=BARE))
    here = await read_everything()
    assert there["failures"] == here.failures == UNREADABLE
    assert {name: tuple(document) for name, document in there["documents"].items()} == here.documents
    assert {mime_type for mime_type, _, _ in here.documents.values()} == set(FileKind)
    assert outside({*here.mapped, *there["mapped"]}, *SHARED, Path.home()) == set()
    for opened in (here.open, there["open"]):
        assert [what for what in opened if what.startswith("/")] == []
    assert content(tmp_path) == []


async def test_where_nothing_can_be_written_nothing_can(tmp_path: Path) -> None:
    require_sealing(tmp_path)
    places = ["/", *filter(os.path.isdir, seal.TEMPORARY), str(seal.CHECKOUT), str(Path.home())]
    script = f'for place in "$@"; do ! touch "$place/planted" || exit 1; done; touch {seal.writable()}/mine'
    await run(*sealed(tmp_path, "sh", "-c", f"({script}) 2>&1", "sh", *places), env=BARE)
    assert content(tmp_path) == ["mine"]
    for place in filter(os.path.isdir, seal.TEMPORARY):
        way = {path.relative_to(place).parts[0] for path in seal.NEEDED if path.is_relative_to(place)}
        listed = await run(*sealed(tmp_path, "ls", "-A", place), env=BARE)
        assert set(listed.decode().split()) == way  # a checkout that lies there is all that is left


@pytest.fixture
async def libraries() -> set[str]:
    """Names of the libraries that reading needs, and one that an engine used to unpack."""
    seen = Seen()
    child = await Child.start()
    for data in (DOCUMENT, REPORT):
        await child.read(Source(data), LIMITS)
        look_at(child.pid, seen)
    child.kill()
    await child.gone()
    return {Path(path).name for path in seen.mapped if ".so" in path} | {"libpdfium.so"}


@pytest.fixture
def planted(tmp_path: Path, libraries: set[str]) -> Path:
    """A folder with code of every kind that could be taken for something of ours."""
    folder = tmp_path / "planted"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    user = folder / ".local" / "lib" / version / "site-packages"
    for place in (folder, user, folder / ".config", folder / "kreuzberg-pdfium", folder / "llmstack_api"):
        place.mkdir(parents=True, exist_ok=True)
        for name in libraries:
            (place / name).write_bytes(b"\x7fELF no library")
        for name in ("json", "re", "sitecustomize", "usercustomize", "encodings", "lxml", "__init__"):
            (place / f"{name}.py").write_text(DEADLY)
        (place / "planted.pth").write_text(DEADLY)
    return folder


@pytest.mark.parametrize(
    "variable",
    ["HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "PYTHONUSERBASE", "LD_PRELOAD", "PYTHONSTARTUP"],
)
async def test_no_code_is_loaded_from_a_folder_that_is_not_of_the_installation(
    planted: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.chdir(planted)
    value = {"LD_PRELOAD": planted / "libpdfium.so", "PYTHONSTARTUP": planted / "json.py"}.get(
        variable, planted
    )
    monkeypatch.setenv(variable, str(value))
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, f":.:{os.environ.get(name, '')}")  # an empty part is the working directory
    seen = Seen()
    child = await Child.start()
    try:
        for data in (DOCUMENT, REPORT):
            assert (await child.read(Source(data), LIMITS)).text
            look_at(child.pid, seen)
    finally:
        child.kill()
        await child.gone()
    assert outside(seen.mapped, planted, *SHARED) == set()


async def test_its_environment_is_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HOME",
        "TMPDIR",
        "PATH",
        "LANG",
        "LD_PRELOAD",
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
        "PYTHONSTARTUP",
    ):
        monkeypatch.setenv(name, "/somewhere")
    monkeypatch.setenv("PYTHONPATH", f":relative:{seal.CHECKOUT}:../up")
    monkeypatch.setenv("LD_LIBRARY_PATH", ":")
    child = await Child.start()
    try:
        given = psutil.Process(child.pid).environ()
        assert psutil.Process(child.pid).cwd() == "/"
    finally:
        child.kill()
        await child.gone()
    assert given["HOME"] == "/dev/null"
    assert given["PYTHONPATH"] == str(seal.CHECKOUT)
    assert not given.keys() & {
        "TMPDIR",
        "PATH",
        "LANG",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
        "PYTHONSTARTUP",
    }


ATTEMPTS = {
    "open('there', 'r+')": 1,
    "open('new', 'x')": 1,
    "os.open('there', os.O_WRONLY)": 1,
    "os.mkdir('folder')": 1,
    "os.symlink('/', 'link')": 1,
    "os.mkfifo('fifo')": 1,
    "os.remove('there')": 1,
    "os.rmdir('empty')": 1,
    "os.rename('there', 'gone')": 1,
    "os.execv('/bin/true', ['true'])": 1,
    "os.posix_spawn('/bin/true', ['true'], {})": 1,
    "socket.socket(socket.AF_UNIX).bind('socket')": 1,
    "os.rename('there', 'empty/there')": 1,
    "os.truncate('there', 0)": 3,
    "socket.create_connection(('127.0.0.1', 9))": 4,
    "socket.create_server(('127.0.0.1', 0))": 4,
    "os.kill(os.getppid(), 0)": 6,
}
"""What a confined process tries, with the version of Landlock since which that is refused."""


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_kernel_refuses_what_reading_does_not_need(tmp_path: Path, attempt: str) -> None:
    (tmp_path / "there").write_text("kept")
    (tmp_path / "empty").mkdir()
    script = (
        "import os, socket\n"
        "from llmstack_api.ingest.reading.confinement import confine\n"
        f"confine()\ntry:\n    {attempt}\nexcept PermissionError:\n    os._exit(13)\nexcept OSError:\n    pass"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, check=False, timeout=20)  # noqa: S603 # ours
    refused = landlock_version() >= ATTEMPTS[attempt]
    assert done.returncode == (13 if refused else 0)
    if refused:
        assert content(tmp_path) == ["empty", "there"]
        assert (tmp_path / "there").read_text() == "kept"
