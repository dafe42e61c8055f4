"""What docs/providers.md says is so."""

import json
from pathlib import Path

from llmstack_api.known_providers import PROVIDERS
from tests.command import server_process
from tests.test_readme import ADDRESS, BETWEEN, ROOT, commands, empty_folder, run_shell

GUIDE = ROOT / "docs" / "providers.md"


async def test_the_commands_of_the_guide_to_providers_run_as_they_are_written(tmp_path: Path) -> None:
    folder, env = empty_folder(tmp_path, curl=None)
    async with server_process(env=env, folder=folder) as server:
        token = "TOKEN=$(venv/bin/llmstack-api token create --account me)\n"
        script = token + f"\necho '{BETWEEN}'\n".join(commands(GUIDE))
        script = script.replace(ADDRESS, server.url.removeprefix("http://"))
        listed, key, own, removed = await run_shell(script, env=env, folder=folder)
    assert [provider["slug"] for provider in json.loads(listed)] == list(PROVIDERS)
    assert (json.loads(key)["configured"], json.loads(key)["key_hint"]) == ("account", "6789")
    assert json.loads(own)["headers"] == ["X-Team"]
    assert removed == ""


def test_the_guide_to_providers_names_each_and_which_of_them_need_an_address() -> None:
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")]
    addresses = {row.split("`")[1]: "no: set `base_url`" not in row for row in rows}
    assert {slug: addresses.get(slug) for slug in PROVIDERS} == {
        slug: known.base_url is not None for slug, known in PROVIDERS.items()
    }
