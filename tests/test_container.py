import asyncio
import json
import re
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmstack_api import __version__
from llmstack_api.cli.doctor_datasources import OLDEST_QDRANT
from llmstack_api.settings import Settings
from tests.command import environment, server_process

ROOT = Path(__file__).parents[1]
TIMEOUT = 20.0
OURS = ["api", "server", "worker", "migrate"]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def the_only(word: str) -> str:
    [rest] = [rest for name, rest in last_stage() if name == word]
    return rest


def variables() -> dict[str, str]:
    return dict(pair.split("=", maxsplit=1) for pair in the_only("ENV").split())


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_both_images_can_be_chosen() -> None:
    found = instructions()
    assert [rest.split("=")[0] for word, rest in found[:2] if word == "ARG"] == ["BASE", "UV_IMAGE"]
    froms = [rest for word, rest in found if word == "FROM"]
    assert froms == ["${UV_IMAGE} AS uv", "${BASE} AS builder", "${BASE}"]


def test_what_is_installed_is_what_the_lock_says() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN"]
    [sync] = [run for run in runs if "uv pip sync" in run]
    assert "--require-hashes requirements.lock" in sync
    assert "--no-build" in sync.split()
    installs = [run for run in runs if "pip install" in run]
    assert all("--no-deps dist/*.whl" in run for run in installs)


def test_it_runs_as_a_number_that_is_not_root_with_its_data_in_a_volume() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", the_only("USER"))
    assert the_only("VOLUME") == "/data"
    assert variables()["LLMSTACK_DATA_DIR"] == "/data"
    assert variables()["LLMSTACK_HOST"] == "0.0.0.0"  # noqa: S104 # in a container
    assert variables()["PYTHONDONTWRITEBYTECODE"] == "1"


def test_its_variables_are_settings() -> None:
    names = {name for name in variables() if name.startswith("LLMSTACK_")}
    assert names <= {f"LLMSTACK_{name.upper()}" for name in Settings.model_fields}


def test_signals_reach_the_server_itself() -> None:
    assert json.loads(the_only("ENTRYPOINT")) == ["llmstack-api"]
    assert json.loads(the_only("CMD")) == ["serve"]


def test_its_label_has_the_version_of_the_package() -> None:
    assert f'org.opencontainers.image.version="{__version__}"' in the_only("LABEL")


def test_all_that_it_copies_is_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    for name in (name.removeprefix("./") for names in copied for name in names):
        assert f"!{name}" in ignored
        assert (ROOT / name).exists()


async def test_the_health_check_follows_the_server(tmp_path: Path) -> None:
    _, _, command = the_only("HEALTHCHECK").partition(" CMD ")
    _, *arguments = json.loads(command)
    env = environment(tmp_path / "data")

    async def check(port: str) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=env | {"LLMSTACK_PORT": port}, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(TIMEOUT):
            return await process.wait()

    async with server_process(env=env, folder=tmp_path) as server:
        port = server.url.rpartition(":")[2]
        assert await check(port) == 0
        await server.end(signal.SIGTERM)
        assert await check(port) == 1


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_has_no_more_rights_than_it_needs(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service.get("tmpfs", ["/data"]) == ["/data"]  # a folder for temporary files is not needed
    assert variables()["HOME"] == "/nonexistent"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_production_profile_migrates_before_anything_of_ours_starts() -> None:
    services = compose()["services"]
    assert "profiles" not in services["api"]
    assert all(services[name]["profiles"] == ["production"] for name in services.keys() - {"api"})
    for name in ("server", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["restart"] == "no"
    for name in ("server", "worker", "migrate"):
        assert services[name]["environment"]["LLMSTACK_DATABASE_URL"].startswith("postgresql+asyncpg://")


def test_the_production_profile_works_in_workers_over_a_vector_store_that_all_share() -> None:
    services = compose()["services"]
    assert services["worker"]["command"] == ["worker"]
    assert "ports" not in services["worker"]
    assert services["server"]["environment"]["LLMSTACK_WORKER"] == "false"
    for name in ("server", "worker"):
        assert services[name]["environment"]["LLMSTACK_QDRANT_URL"] == "http://qdrant:6333"
        assert services[name]["depends_on"]["qdrant"] == {"condition": "service_started"}


def test_a_worker_is_not_asked_what_a_server_is() -> None:
    assert compose()["services"]["worker"]["healthcheck"] == {"disable": True}


def test_the_vector_store_is_pinned_to_what_can_do_all_that_is_asked_of_it() -> None:
    image = compose()["services"]["qdrant"]["image"]
    pinned = re.fullmatch(r"\$\{QDRANT_IMAGE:-qdrant/qdrant:v(\d+)\.(\d+)\.\d+\}", image)
    assert pinned is not None
    assert (int(pinned[1]), int(pinned[2])) >= OLDEST_QDRANT


@pytest.mark.parametrize("name", ["postgres", "qdrant"])
def test_stores_are_reached_by_other_containers_only_and_keep_what_they_have(name: str) -> None:
    service = compose()["services"][name]
    assert "ports" not in service
    [volume] = service["volumes"]
    assert volume.partition(":")[0] in compose()["volumes"]


def test_the_key_of_the_vector_store_is_given_to_both_ends_or_none() -> None:
    services = compose()["services"]
    variable = "QDRANT__SERVICE__API_KEY"
    assert services["qdrant"]["environment"][variable] is None  # taken over only where it is set
    for name in ("server", "worker"):
        assert services[name]["environment"]["LLMSTACK_QDRANT_API_KEY"] == f"${{{variable}:-}}"


def test_containers_are_given_longer_to_stop_than_the_server_takes() -> None:
    grace = Settings.model_fields["drain_grace"].default
    for name in OURS:
        period = compose()["services"][name]["stop_grace_period"]
        assert float(period.removesuffix("s")) > grace + 3


def test_compose_sets_settings_only() -> None:
    known = {f"LLMSTACK_{name.upper()}" for name in Settings.model_fields}
    for name in OURS:
        assert compose()["services"][name]["environment"].keys() <= known


def test_ci_runs_the_demo_on_an_empty_machine_then_the_gate_and_the_browser() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert [line for line in lines if re.match(r"empty_folders$|make ", line)] == [
        "empty_folders",
        "make demo",
        "empty_folders",
        "make demo > /dev/null",
        "empty_folders",
        "empty_folders",
        "empty_folders",
        "make check",
        "empty_folders",
        "make test-browser",
    ]
