"""Processors of other packages: loaded at the start, all or none, and run like ours."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmstack_api.errors import StartError
from llmstack_api.processors import REGISTRY, load_registry
from tests.apps.calls import create_yaml, path
from tests.command import COMMAND, TIMEOUT, environment, run_command, server_process
from tests.runs.streams import stitch

EXAMPLE = Path(__file__).parents[2] / "examples" / "processor-package"
GUIDE = Path(__file__).parents[2] / "docs" / "processors.md"
TOKEN = "a-token-of-the-tests-0123456789abcdef"
MODULE = '''
from typing import Callable, ClassVar
from llmstack_api.engine.processor import Processor, ProcessorModel

class Empty(ProcessorModel):
    """Nothing."""

class Nothing(Processor[Empty, Empty]):
    """Do nothing."""
    provider_slug: ClassVar[str] = "acme"
    slug: ClassVar[str] = "nothing"
    Output = Empty
    async def run(self, emit) -> None:
        pass
'''


def install(folder: Path, package: str, module: str, *points: str) -> None:
    """Put a package of one module into a folder, as an installer would."""
    name = package.replace("-", "_")
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[llmstack_api.processors]", *points]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose packages are installed."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    invalidate_caches()
    return tmp_path


@pytest.fixture(autouse=True)
def _modules_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("acme_one", "acme_two"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)


def test_without_packages_the_registry_is_ours() -> None:
    assert load_registry() is REGISTRY


def test_processors_of_packages_are_added(folder: Path) -> None:
    install(folder, "acme-one", MODULE, "nothing = acme_one:Nothing")
    registry = load_registry()
    assert registry.keys() - REGISTRY.keys() == {"acme/nothing"}
    assert registry.keys() > REGISTRY.keys()
    assert registry["acme/nothing"].__name__ == "Nothing"


REFUSED = {
    "no such module": ("", "acme_nowhere:Nothing", "ModuleNotFoundError: No module named 'acme_nowhere'"),
    "no such class": (MODULE, "acme_one:Nobody", "AttributeError"),
    "broken import": ("raise OSError('no\\nluck')", "acme_one:Nothing", "cannot be loaded: OSError: no luck"),
    "syntax": ("class", "acme_one:Nothing", "SyntaxError"),
    "no class": ("Nothing = 3", "acme_one:Nothing", "is no subclass"),
    "another class": ("class Nothing: pass", "acme_one:Nothing", "is no subclass"),
    "abstract": (MODULE.replace("async def run", "async def walk"), "acme_one:Nothing", "no method run"),
    "slug": (MODULE.replace('"nothing"', '"No Thing"'), "acme_one:Nothing", "has no slug of lower-case"),
    "provider": (MODULE.replace("provider_slug:", "provider:"), "acme_one:Nothing", "has no provider_slug"),
    "output": (MODULE.replace("Output =", "Other ="), "acme_one:Nothing", "has no Output that is"),
    "input": (MODULE.replace("[Empty, Empty]", ""), "acme_one:Nothing", "has no Input that is"),
    "docstring": (MODULE.replace('"""Do nothing."""', ""), "acme_one:Nothing", "has no docstring"),
    "no schema": (
        MODULE.replace('"""Nothing."""', "a: Callable[[], None] = print"),
        "acme_one:Nothing",
        "PydanticInvalidForJsonSchema",
    ),
    "ours": (
        MODULE.replace('"acme"', '"promptly"').replace('"nothing"', '"echo"'),
        "acme_one:Nothing",
        "the processor promptly/echo is there already, from this server itself",
    ),
}


@pytest.mark.parametrize(("module", "value", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_a_package_is_told_in_one_line(
    folder: Path, module: str, value: str, said: str
) -> None:
    install(folder, "acme-one", module, f"nothing = {value}")
    with pytest.raises(StartError) as caught:
        load_registry()
    assert str(caught.value).startswith(
        "package acme-one, entry point 'nothing' of llmstack_api.processors: "
    )
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_packages_must_not_have_the_same_processor(folder: Path) -> None:
    install(folder, "acme-one", MODULE, "nothing = acme_one:Nothing")
    install(folder, "acme-two", MODULE, "nothing = acme_two:Nothing")
    with pytest.raises(
        StartError, match=r"acme/nothing is there already, from package acme-(one|two), entry"
    ):
        load_registry()


async def test_a_server_does_not_start_with_a_broken_package(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    install(packages, "acme-one", "raise OSError('no luck')", "nothing = acme_one:Nothing")
    env = environment(tmp_path / "data", port=0) | {"PYTHONPATH": str(packages)}
    finished = await run_command("serve", env=env, folder=tmp_path)
    assert finished.code != 0
    assert "package acme-one, entry point 'nothing'" in finished.err
    assert "Traceback" not in finished.err


async def test_the_example_package_is_built_installed_and_run_by_a_server(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    await install_example(packages, tmp_path)
    env = environment(tmp_path / "data", bootstrap_token=TOKEN) | {"PYTHONPATH": str(packages)}
    async with (
        server_process(*COMMAND, "serve", env=env, folder=tmp_path) as server,
        httpx.AsyncClient(
            base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=TIMEOUT
        ) as client,
    ):
        listed = (await client.get("/api/processors")).json()
        (redact,) = [item for item in listed if item["name"] == "acme/redact"]
        assert redact["description"] == "Replace the e-mail addresses in a text."
        assert redact["config"]["properties"]["mark"]["default"] == "[address]"

        app = await create_yaml(client, (EXAMPLE / "app.yaml").read_bytes())
        text = "Ask ann@example.com\nor bob@example.com,\nnot us."
        expected = {"text": "Ask [address]\nor [address],\nnot us.", "count": 2}
        answer = await client.post(f"{path(app)}/run", json={"input": {"text": text}})
        assert answer.json()["output"] == expected
        streamed = await client.post(f"{path(app)}/run", json={"input": {"text": text}, "stream": True})
        assert stitch([json.loads(line) for line in streamed.content.splitlines()]) == expected


async def test_the_test_in_the_guide_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(EXAMPLE), *sys.path])
    (block,) = re.findall(r"## Testing\n.*?```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 # our own page
    await names["test_addresses_are_replaced_line_by_line"]()


def test_the_guide_shows_the_class_of_the_example() -> None:
    code = (EXAMPLE / "acme_processors" / "__init__.py").read_text()
    (block,) = re.findall(r"## The class\n.*?```python\n(.*?) +async def run", GUIDE.read_text(), re.DOTALL)
    assert block in code


async def install_example(target: Path, folder: Path) -> None:
    """Build the example package and install it into a folder, without any network."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--no-build-isolation",
        "--python", sys.executable, "--target", str(target), str(EXAMPLE),
        env=environment(folder) | {"UV_CACHE_DIR": str(folder / "cache")}, stdout=PIPE, stderr=STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(TIMEOUT):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
