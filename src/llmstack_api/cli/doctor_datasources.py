"""The doctor's checks of what datasources need: a worker, what reads files, the vector store, the embedding model."""

import asyncio
import re
from typing import Any, Final, cast

import orjson

from llmstack_api.cli.findings import TIMEOUT, Finding, folder_finding, without_password
from llmstack_api.egress import parse_url
from llmstack_api.errors import LLMStackError, ProviderRefusedError, StartError
from llmstack_api.ingest.reading.child import Child
from llmstack_api.ingest.reading.confinement import TCP_SINCE, landlock_version
from llmstack_api.llm.call import Reader, call
from llmstack_api.llm.embedders import open_embedders
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.outbound import operator_client
from llmstack_api.resources import check_places
from llmstack_api.settings import Settings
from llmstack_api.vectors.bundled import MODEL
from llmstack_api.vectors.edge import RESERVE

OLDEST_QDRANT: Final = (1, 20)
"""The first version that knows every condition a filter may ask for."""

_ANY_COLLECTION: Final = "/collections/llmstack-api-doctor/exists"
_MAX_ANSWER: Final = 1_000_000
_STORE: Final = "vector store"
_EMBEDDING: Final = "embedding"
_WORKER: Final = "worker"
_READING: Final = "reading files"


def worker(settings: Settings) -> Finding:
    """Tell who does the work of entries."""
    try:
        check_places(settings)
    except StartError as error:
        return Finding("problem", _WORKER, str(error))
    if settings.worker:
        return Finding("ok", _WORKER, "'serve' does the work of entries too")
    return Finding(
        "note", _WORKER, "'serve' leaves the work of entries to 'llmstack-api worker': run at least one"
    )


async def reading() -> Finding:
    """Start the process that reads files, and tell what the kernel keeps it from."""
    try:
        child = await Child.start()
    except LLMStackError as error:
        return Finding("problem", _READING, str(error))
    child.kill()
    await child.gone()
    version = landlock_version()
    if not version:
        text = "in a process that its limits alone keep from writing: this kernel has no Landlock"
        return Finding("note", _READING, text)
    connecting = " nor connect" if version >= TCP_SINCE else ""
    text = f"in a process that can neither write files nor start programs{connecting} (Landlock {version})"
    return Finding("ok", _READING, text)


# --- the vector store ------------------------------------------------------------------------------------


async def vector_store(settings: Settings) -> Finding:
    """Tell whether vectors can be kept: in the data directory, or by the Qdrant server that is set."""
    if settings.qdrant_url is None:
        return folder_finding(_STORE, settings.data_dir / "vectors", least=RESERVE)
    place = without_password(settings.qdrant_url)
    try:
        async with asyncio.timeout(TIMEOUT):
            version = await _qdrant_version(settings, settings.qdrant_url)
    except ProviderRefusedError as error:
        return Finding("problem", _STORE, f"{place}: {error} Check LLMSTACK_QDRANT_API_KEY.")
    except (LLMStackError, TimeoutError) as error:
        reason = str(error) or f"no answer within {TIMEOUT:g} seconds."
        return Finding(
            "problem", _STORE, f"{place}: {reason} Is it running?{_port_hint(settings.qdrant_url)}"
        )
    if version is None:
        return Finding(
            "problem", _STORE, f"{place} answers, but not as Qdrant does: is LLMSTACK_QDRANT_URL right?"
        )
    wanted = ".".join(map(str, OLDEST_QDRANT))
    number = re.match(r"(\d+)\.(\d+)", version)
    if number is None or (int(number[1]), int(number[2])) < OLDEST_QDRANT:
        return Finding("problem", _STORE, f"{place} is Qdrant {version}; {wanted} or later is needed")
    return Finding("ok", _STORE, f"{place} answers, Qdrant {version}")


async def _qdrant_version(settings: Settings, url: str) -> str | None:
    """Ask a server for its version, then for what it answers to the right key only; None where it is no Qdrant."""
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    endpoint = Endpoint(name="The Qdrant server", base_url=parse_url(url), key=key)
    about = await _get(endpoint, "/")
    checked = await _get(endpoint, _ANY_COLLECTION)
    version = about.get("version")
    return version if isinstance(version, str) and isinstance(checked.get("result"), dict) else None


async def _get(endpoint: Endpoint, path: str) -> dict[str, Any]:
    body = b""

    async def consume(reader: Reader) -> None:
        nonlocal body
        body, _ = await reader.read_all(_MAX_ANSWER)

    headers = {"api-key": endpoint.key} if endpoint.key else {}
    async with operator_client() as client:
        request = client.build_request("GET", endpoint.url(path), headers=headers)
        await call(client, request, endpoint=endpoint, idle_timeout=TIMEOUT, consume=consume)
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}


def _port_hint(url: str) -> str:
    return (
        ""
        if re.search(r"://[^/]*:\d+(/|$)", url)
        else " Qdrant listens on :6333, which the address has to say."
    )


# --- the embedding model ---------------------------------------------------------------------------------


async def embedding(settings: Settings) -> Finding:
    """Embed one word with the model that new datasources get."""
    place = f"{without_password(settings.embedding_base_url)}: " if settings.embedding_base_url else ""
    try:
        async with asyncio.timeout(TIMEOUT), open_embedders(settings) as embedders:
            space = await embedders.space(embedders.default)
            if embedders.default == MODEL:
                await space.embedder.embed_query("probe")
    except (LLMStackError, TimeoutError) as error:
        reason = str(error) or f"no answer within {TIMEOUT:g} seconds."
        hint = " Check LLMSTACK_EMBEDDING_BASE_URL, _MODEL and _API_KEY." if place else ""
        return Finding("problem", _EMBEDDING, f"{place}{reason}{hint}")
    own = "" if place else ", which comes with the server"
    return Finding("ok", _EMBEDDING, f"{place}{embedders.default}{own}, {space.dimension} dimensions")
