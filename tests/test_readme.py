"""The commands that the documents show are run as they stand there."""

import asyncio
import json
import os
import re
import shutil
import sqlite3
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmstack_api.cli.demo import stitch
from llmstack_api.datasources.types import DatasourceType
from llmstack_api.errors import EmbeddingRefusedError
from llmstack_api.vectors.bundled import MODEL
from llmstack_api.vectors.filters import Junction, Operator
from llmstack_api.vectors.index import Mode
from tests.command import environment, server_process

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.1:3000"
BETWEEN = "----- next -----"
TIMEOUT = 50.0
OWN = {"HOME": "home", "TMPDIR": "tmp"}
INSTALLED = "README_VENV"
"""A virtual environment made by the README's own block, to be used in place of the one that runs the tests."""
GUIDES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))

CURL = """\
#!{python}
# The few options of curl that the documents use, for machines without it.
import os.path, sys, urllib.request
url, data, method, headers, parts, words = None, None, None, {{}}, [], iter(sys.argv[1:])
for word in words:
    if word in ("-sS", "-sSN"):
        continue
    if word == "-X":
        method = next(words)
    elif word == "-F":
        name, _, value = next(words).partition("=")
        head = f'--edge\\r\\nContent-Disposition: form-data; name="{{name}}"'
        if value.startswith("@"):
            head += f'; filename="{{os.path.basename(value[1:])}}"'
        content = open(value[1:], "rb").read() if value.startswith("@") else value.encode()
        parts.append(head.encode() + b"\\r\\n\\r\\n" + content + b"\\r\\n")
    elif word == "-H":
        name, _, value = next(words).partition(": ")
        headers[name] = value
    elif word == "-d":
        data = next(words).encode()
    elif word == "--data-binary":
        data = open(next(words).removeprefix("@"), "rb").read()
    else:
        url = word
if parts:
    data = b"".join(parts) + b"--edge--\\r\\n"
    headers["Content-Type"] = "multipart/form-data; boundary=edge"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
with opener.open(urllib.request.Request(url, data, headers, method=method)) as response:
    for line in response:
        sys.stdout.buffer.write(line)
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else the fence says, and its text."""

    language: str
    role: str
    text: str


def blocks(path: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)
    return [Block(*groups) for groups in found]


def the_only(path: Path, language: str, role: str) -> str:
    [text] = [block.text for block in blocks(path) if (block.language, block.role) == (language, role)]
    return text


def commands(path: Path) -> list[str]:
    """Return the blocks that are run one after the other in one terminal."""
    return [block.text for block in blocks(path) if (block.language, block.role) == ("sh", "")]


async def run_shell(script: str, *, env: dict[str, str], folder: Path) -> list[str]:
    """Run a script; return what each part of it printed."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, env=env, cwd=folder, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().split(f"{BETWEEN}\n")


def empty_folder(tmp_path: Path, *, curl: str | None) -> tuple[Path, dict[str, str]]:
    """Make a folder as it is after the install, and the environment of somebody who comes to it with nothing."""
    scripts = Path(sys.executable).parent
    for name in ("bin", *OWN.values()):
        (tmp_path / name).mkdir()
    (tmp_path / "venv").symlink_to(os.environ.get(INSTALLED, scripts.parent))
    if curl is None:
        stand_in = tmp_path / "bin" / "curl"
        stand_in.write_text(CURL.format(python=sys.executable))
        stand_in.chmod(0o755)
    env = {
        name: value
        for name, value in environment(tmp_path / "data").items()
        if not name.startswith(("XDG_", "PYTHON"))
    }
    folders = (tmp_path / "bin", tmp_path / "venv" / "bin", scripts, env["PATH"])
    env["PATH"] = os.pathsep.join(map(str, folders))
    return tmp_path, env | {name: str(tmp_path / folder) for name, folder in OWN.items()}


def left_behind(folder: Path) -> list[str]:
    """Return what the commands wrote that is not in the folder they were called in."""
    return [str(path) for name in OWN.values() for path in (folder / name).rglob("*")]


@pytest.mark.parametrize("curl", list(dict.fromkeys((None, shutil.which("curl")))), ids=str)
async def test_the_first_app_of_the_readme_runs_as_it_is_written(tmp_path: Path, curl: str | None) -> None:
    readme = ROOT / "README.md"
    folder, env = empty_folder(tmp_path, curl=curl)
    serve = the_only(readme, "sh", "serve").replace(
        "venv/bin/llmstack-api serve", "exec venv/bin/llmstack-api serve"
    )
    async with server_process("bash", "-euc", serve, env=env, folder=folder) as server:
        python = f"export TOKEN APP\npython - <<'PY'\n{the_only(readme, 'python', '')}PY\n"
        script = f"\necho '{BETWEEN}'\n".join([*commands(readme), python])
        script = script.replace(ADDRESS, server.url.removeprefix("http://"))
        parts = await run_shell(script, env=env, folder=folder)
    assert left_behind(folder) == []
    _, _, blocking, streamed, entry, found, from_python = parts
    shown = json.loads(the_only(readme, "json", "blocking"))
    answer = json.loads(blocking)
    assert answer["output"] == shown["output"]
    assert answer["usage"] == shown["usage"]
    assert answer.keys() == shown.keys()

    lines = [json.loads(line) for line in streamed.splitlines() if line.strip()]
    shown_lines = [json.loads(line) for line in the_only(readme, "json", "streamed").splitlines()]
    assert stitch(lines) == stitch(shown_lines) == answer["output"]
    assert lines[0].keys() == shown_lines[0].keys()
    assert lines[-1] == shown_lines[-1]
    assert "'done': {'status': 'succeeded'" in from_python

    assert json.loads(entry)["status"] == "READY"
    [hit] = json.loads(found)["results"]
    [shown_hit] = json.loads(the_only(readme, "json", "found"))["results"]
    assert hit.keys() == shown_hit.keys()
    varying = ("entry_uuid", "score")
    assert {key: hit[key] for key in hit if key not in varying} == {
        key: shown_hit[key] for key in shown_hit if key not in varying
    }


async def test_the_commands_of_the_guide_to_datasources_run_as_they_are_written(tmp_path: Path) -> None:
    guide = ROOT / "docs" / "datasources.md"
    folder, env = empty_folder(tmp_path, curl=None)
    shutil.copy(ROOT / "examples" / "handbook" / "safety.pdf", folder)
    async with server_process(env=env, folder=folder) as server:
        token = "TOKEN=$(venv/bin/llmstack-api token create --account me)\n"
        script = token + f"\necho '{BETWEEN}'\n".join(commands(guide))
        script = script.replace(ADDRESS, server.url.removeprefix("http://"))
        _, text, file, data_uri, followed, kept, again, found, grouped, changed = await run_shell(
            script, env=env, folder=folder
        )
    assert left_behind(folder) == []
    assert json.loads(text)["status"] == "PROCESSING"
    assert json.loads(file)["status"] == "READY"
    assert json.loads(data_uri)["name"] == "late.md"
    assert "event: done\n" in followed
    assert '"content":"Ears are protected."' in followed
    assert kept.count('"external_id":"manual/intro"') == 2
    assert json.loads(again) == {"entries": 4}
    of_entries = [hit["entry_uuid"] for hit in json.loads(grouped)["results"]]
    assert len(of_entries) == len({*of_entries})
    hit = json.loads(found)["results"][0]
    assert hit["metadata"]["source"] == "safety.pdf"
    assert "first-aid box" in hit["content"]
    assert json.loads(changed)["name"] == "The handbook"


def test_the_guide_to_datasources_explains_every_code_of_a_failure() -> None:
    package = ROOT / "src" / "llmstack_api"
    files = [*(package / "ingest").rglob("*.py"), *(package / "datasources").rglob("*.py")]
    codes = {
        code
        for file in files
        for code in re.findall(r'(?:\bcode=|^RESET: Final = )"([a-z-]+)"', file.read_text(), re.MULTILINE)
    }
    codes |= {"gave-up", EmbeddingRefusedError.slug}
    codes -= {"host-busy"}  # with it an entry waits
    text = (ROOT / "docs" / "datasources.md").read_text()
    assert "no-text" in codes
    assert sorted(code for code in codes if f"`{code}`" not in text) == []


def test_the_guide_to_datasources_names_every_type_mode_operator_and_model() -> None:
    text = (ROOT / "docs" / "datasources.md").read_text()
    for names in (DatasourceType, Mode, Operator, Junction, [MODEL]):
        for name in names:
            assert f"`{name}`" in text or f'"{name}"' in text, name


async def test_the_commands_of_the_operations_guide_run_as_they_are_written(tmp_path: Path) -> None:
    guide = ROOT / "docs" / "operations.md"
    folder, env = empty_folder(tmp_path, curl=None)
    async with server_process(env=env, folder=folder):
        parts = await run_shell(f"\necho '{BETWEEN}'\n".join(commands(guide)), env=env, folder=folder)
    assert left_behind(folder) == []
    assert parts[0].startswith("lls_")
    assert "website" in parts[0]
    with sqlite3.connect(folder / "backup.db") as copy:
        assert copy.execute("SELECT name FROM tokens").fetchall() == [("website",)]
    copy.close()


def test_the_install_is_from_files_that_are_there() -> None:
    install = the_only(ROOT / "README.md", "sh", "install")
    assert "--require-hashes -r $CLONE/requirements.lock" in install
    assert "pip install --no-deps $CLONE" in install
    assert "--hash=sha256:" in (ROOT / "requirements.lock").read_text()


def test_make_has_every_target_that_is_named() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named
    assert named <= targets


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md", *GUIDES])
def test_every_link_within_the_repository_leads_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []
