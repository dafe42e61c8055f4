"""Everything that has to be opened and closed, opened once and shared by server, worker, CLI and tests."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio

from llmstack_api import schema
from llmstack_api.auth import Authenticator, ensure_bootstrap_token
from llmstack_api.db import Database, open_database
from llmstack_api.engine.ports import HttpCaller, TextExtractor, ToolServers, WebSearch
from llmstack_api.errors import StartError, UnavailableError, VectorStoreAwayError
from llmstack_api.ingest.texts import open_texts
from llmstack_api.jobs.opening import open_job_queue
from llmstack_api.jobs.progress import Progress
from llmstack_api.jobs.queue import JobQueue
from llmstack_api.llm.catalog import Models, open_models
from llmstack_api.llm.embedders import Embedders, open_embedders
from llmstack_api.outbound import Egress, parse_egress
from llmstack_api.processors import Registry, load_registry
from llmstack_api.replica import Replica, hold_replica
from llmstack_api.secrets import Cipher, keep_current, open_cipher
from llmstack_api.settings import Settings
from llmstack_api.tools.http import open_http_caller
from llmstack_api.tools.mcp import McpServers
from llmstack_api.tools.web_search import open_web_search
from llmstack_api.vectors.edge import EdgeStore
from llmstack_api.vectors.index import Index
from llmstack_api.vectors.qdrant import QdrantStore
from llmstack_api.vectors.store import VectorStore

ELSEWHERE = (
    "Another replica keeps the vectors, in its data directory; "
    "set LLMSTACK_QDRANT_URL, for all of them to share."
)
UNKNOWN = "Which replica keeps the vectors is not known while the database is away."
CLOSE_TIMEOUT = 10.0
"""Seconds that the vector store is given to write what it holds."""


@dataclass(slots=True, kw_only=True)
class Resources:
    """What is open while the process lives."""

    settings: Settings
    db: Database
    replica: Replica
    authenticator: Authenticator
    egress: Egress
    cipher: Cipher
    models: Models
    texts: TextExtractor
    http: HttpCaller
    web: WebSearch
    tool_servers: ToolServers
    jobs: JobQueue
    index: Index
    embedders: Embedders
    progress: Progress
    registry: Registry
    draining: bool = False
    """Set once at shutdown: no new work is taken."""


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """Open everything in order; close it in the reverse order.

    Raises:
        StartError: a setting is wrong, the data directory is in use, or the database is behind.
    """
    egress = parse_egress(settings.egress_allow)
    check_places(settings)
    registry = load_registry()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        db = await enter(open_current_database(settings))
        replica = await enter(hold_replica(settings, db))
        if settings.bootstrap_token is not None:
            await db.write(ensure_bootstrap_token, settings.bootstrap_token.get_secret_value())
        cipher = open_cipher(settings)
        await keep_current(db, cipher)
        authenticator = Authenticator(db)
        stack.push_async_callback(authenticator.close)
        yield Resources(
            settings=settings,
            db=db,
            replica=replica,
            authenticator=authenticator,
            egress=egress,
            cipher=cipher,
            models=await enter(open_models(settings, egress)),
            texts=await enter(open_texts(settings, egress)),
            http=await enter(open_http_caller(egress)),
            web=await enter(open_web_search(settings)),
            tool_servers=McpServers(egress),
            jobs=await enter(open_job_queue(settings)),
            index=Index(await enter(open_vector_store(settings, replica))),
            embedders=await enter(open_embedders(settings)),
            progress=Progress(),
            registry=registry,
        )


def check_places(settings: Settings) -> None:
    """Refuse settings that would keep vectors where not every process finds them.

    Raises:
        StartError: it names the setting.
    """
    if settings.worker or settings.qdrant_url is not None:
        return
    raise StartError(
        "LLMSTACK_WORKER: the vectors in the data directory belong to one process, which has to do the work too; "
        "set LLMSTACK_QDRANT_URL where workers are processes of their own"
    )


@asynccontextmanager
async def open_vector_store(settings: Settings, replica: Replica) -> AsyncGenerator[VectorStore]:
    """Open the vector store; nothing is loaded or connected to before it is needed."""

    async def admit() -> None:
        try:
            kept = await replica.keeps_vectors()
        except UnavailableError as error:
            raise VectorStoreAwayError(UNKNOWN) from error
        if not kept:
            raise VectorStoreAwayError(ELSEWHERE)

    store: VectorStore
    if settings.qdrant_url is None:
        store = edge = EdgeStore(settings.data_dir / "vectors", admit=admit)
        replica.when_vectors_go(edge.give_up)
    else:
        key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
        store = QdrantStore(settings.qdrant_url, api_key=key)
    try:
        yield store
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await store.close()


@asynccontextmanager
async def open_current_database(settings: Settings) -> AsyncGenerator[Database]:
    """Open the database; SQLite is brought to the current revision, PostgreSQL has to be there already."""
    db = open_database(settings.database, pool_size=settings.database_pool_size)
    try:
        if settings.database.startswith("sqlite"):
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not await schema.is_current(db):
            if not settings.database.startswith("sqlite"):
                raise StartError(
                    "LLMSTACK_DATABASE_URL: its tables are behind; run 'llmstack-api migrate' first"
                )
            await schema.upgrade(db)
        yield db
    finally:
        await db.close()
