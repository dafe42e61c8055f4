"""The work of one entry, from its row to READY or FAILED."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Concatenate, Final, ParamSpec, TypeVar
from uuid import UUID

import anyio
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.datasources import children, purging, work
from llmstack_api.datasources.indexing import Ready, Stored, show_entries, store_entries
from llmstack_api.datasources.work import Claimed
from llmstack_api.errors import (
    EmbeddingAwayError,
    EmbeddingRefusedError,
    ExtractError,
    FetchError,
    IngestError,
    StorageFullError,
    UnavailableError,
)
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.extract import Extractor
from llmstack_api.ingest.fetch import Fetched, Fetcher, NotModified
from llmstack_api.ingest.sitemap import collect
from llmstack_api.jobs.coalescing import Coalescer
from llmstack_api.models import EntryContent, Stage, Work
from llmstack_api.resources import Resources

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", Ready, Stored)

log = structlog.get_logger(__name__)

BATCH: Final = 64
"""Small entries that are done together at most."""
FLUSH_REST: Final = 8.0
"""How many times as long as a flush took is none after it: nothing else runs while the embedded index flushes."""
CLAIM_REST: Final = 2.0
"""The same for claims, so that each has many entries when many come."""
LARGE_AT_ONCE: Final = 2
"""Large entries whose text is in memory at once."""
ENTRY_TIMEOUT: Final = 900.0
"""Seconds that one entry may take, after which the attempt is given up."""
AWAY_PAUSE: Final = 3.0
"""Seconds before a dependency that is away is tried again."""
RETRY_PAUSES: Final = (1.0, 4.0)
"""Seconds before work that crashed is tried again; then the entry has FAILED."""
RELEASE_TIMEOUT: Final = 2.0
HOST_BUSY: Final = "host-busy"
"""Code of a fetch that did not get its turn at the host, which says nothing about the URL."""
_HTML: Final = ("text/html", "application/xhtml+xml")


class Ingestion:
    """Does what entries want."""

    def __init__(self, resources: Resources, fetcher: Fetcher, extractor: Extractor) -> None:
        self._resources = resources
        self._fetcher = fetcher
        self._extractor = extractor
        self._held: set[UUID] = set()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._away_until = 0.0
        self._claim = Coalescer(self._claim_all, most=4 * BATCH, rest=CLAIM_REST)
        self._store = Coalescer(partial(_by_model, self._store_all), most=BATCH)
        self._show = Coalescer(partial(_by_model, self._show_all), most=4 * BATCH, rest=FLUSH_REST)
        self._purge = Coalescer(self._purge_all, most=4 * BATCH)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Do the work of `handle` while the context is open."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(part.serve())
                for part in (self._claim, self._store, self._show, self._purge)
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    @property
    def tokens(self) -> set[UUID]:
        """Of the rows that are held."""
        return self._held

    async def handle(self, entry_id: UUID) -> None:
        """Do what an entry wants, if nobody else does; whatever happens is recorded in its row."""
        if asyncio.get_running_loop().time() < self._away_until:
            return  # the row stays as it is, and is found again
        entry = await self._claim(entry_id)
        if entry is None:
            return
        self._held.add(entry.token)
        try:
            async with asyncio.timeout(ENTRY_TIMEOUT):
                await self._do(entry)
        except (UnavailableError, StorageFullError) as error:
            await self._wait_for(entry, error)
        except FetchError as error:
            if error.code == HOST_BUSY:
                await self._record(entry, work.put_off, entry, seconds=AWAY_PAUSE, counts=False)
            else:
                await self._fail(entry, error)
        except (IngestError, EmbeddingRefusedError) as error:
            await self._fail(entry, error)
        except asyncio.CancelledError:  # the server stops: another worker, or the next start, goes on at once
            with anyio.move_on_after(RELEASE_TIMEOUT, shield=True):
                await self._record(entry, work.put_off, entry, seconds=0, counts=False)
            raise
        except TimeoutError:
            await self._retry(entry, code="timeout", message=f"It was not done after {ENTRY_TIMEOUT:g} s.")
        except Exception as error:
            log.exception("entry_crashed", entry=str(entry.id), error=type(error).__name__)
            await self._retry(entry, code="internal-error", message="The server failed; its log says more.")
        finally:
            self._held.discard(entry.token)
            self._resources.progress.tell([entry.id])

    async def _do(self, entry: Claimed) -> None:
        if entry.work == Work.PURGE:
            await self._purge(entry)
        else:
            await self._ingest(entry)

    async def _ingest(self, entry: Claimed) -> None:
        if entry.text is not None:
            ready = Ready(entry=entry, document=Document(text=entry.text), keep_text=False)
            await self._show(await self._store(ready))
            return
        if entry.kind == "sitemap":
            await self._at(entry, Stage.FETCH)
            urls = await collect(self._fetcher, entry.source)
            jobs = await self._resources.db.write(children.replace_children, entry, urls)
            await self._resources.jobs.wake(jobs)
            return
        async with self._large:
            ready = await self._ready(entry)
            if ready is not None:
                await self._at(entry, Stage.INDEX)
                await self._show(await self._store(ready))

    async def _ready(self, entry: Claimed) -> Ready | None:
        """Get the text of what is no small text; None where nothing has changed."""
        if entry.kind == "url":
            return await self._fetched(entry)
        content = await self._resources.db.read(_content, entry.id, entry.version)
        if content.text is not None and content.data is None:
            return Ready(entry=entry, document=Document(text=content.text), keep_text=False)
        await self._at(entry, Stage.EXTRACT)
        document = await self._extractor.extract(
            content.data or b"", file_name=content.file_name, media_type=content.media_type
        )
        return Ready(entry=entry, document=document)

    async def _fetched(self, entry: Claimed) -> Ready | None:
        await self._at(entry, Stage.FETCH)
        known = entry.live_version is not None and entry.updated_at >= entry.configured_at
        fetched = await self._fetcher.fetch(
            entry.source,
            etag=entry.etag if known else None,
            last_modified=entry.last_modified if known else None,
        )
        if isinstance(fetched, NotModified):
            await self._resources.db.write(children.keep_as_it_was, entry)
            return None
        await self._at(entry, Stage.EXTRACT)
        document = await self._extractor.extract(
            fetched.data,
            file_name=fetched.file_name,
            media_type=fetched.media_type,
            url=fetched.url,
            main_text=_is_html(fetched),
        )
        title = " ".join((document.title or "").split())[:200]
        return Ready(
            entry=entry,
            document=document,
            etag=fetched.etag,
            last_modified=fetched.last_modified,
            name=title or None if entry.name == entry.source[:200] else None,
        )

    # --- in batches --------------------------------------------------------------------------------------

    async def _claim_all(self, ids: Sequence[UUID]) -> list[Claimed | None]:
        claimed = {entry.id: entry for entry in await self._resources.db.write(work.claim, ids)}
        return [claimed.pop(id_, None) for id_ in ids]

    async def _store_all(self, ready: Sequence[Ready]) -> list[Stored]:
        return await store_entries(self._resources, ready)

    async def _show_all(self, stored: Sequence[Stored]) -> list[bool]:
        return await show_entries(self._resources, stored)

    async def _purge_all(self, entries: Sequence[Claimed]) -> list[None]:
        await purging.purge_entries(self._resources, entries)
        return [None] * len(entries)

    # --- endings -----------------------------------------------------------------------------------------

    async def _at(self, entry: Claimed, stage: Stage) -> None:
        await self._resources.db.write(work.at_stage, entry, stage)
        self._resources.progress.tell([entry.id])

    async def _wait_for(self, entry: Claimed, error: UnavailableError | StorageFullError) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._away_until:
            log.warning("ingestion_waits", error=str(error))
        pause = (
            max(AWAY_PAUSE, error.retry_after or 0) if isinstance(error, EmbeddingAwayError) else AWAY_PAUSE
        )
        self._away_until = loop.time() + pause
        await self._record(entry, work.put_off, entry, seconds=pause, counts=False)

    async def _fail(self, entry: Claimed, error: IngestError | EmbeddingRefusedError) -> None:
        match error:
            case FetchError():
                stage, code = Stage.FETCH, error.code
            case ExtractError():
                stage, code = Stage.EXTRACT, error.code
            case IngestError():
                stage, code = Stage.CHUNK, error.code
            case EmbeddingRefusedError():
                stage, code = Stage.EMBED, error.slug
        await self._record(entry, work.fail, entry, stage=stage, code=code, message=str(error))

    async def _retry(self, entry: Claimed, *, code: str, message: str) -> None:
        if entry.attempts < len(RETRY_PAUSES):
            pause = RETRY_PAUSES[entry.attempts]
            await self._record(entry, work.put_off, entry, seconds=pause, counts=True)
        else:
            await self._record(entry, work.fail, entry, stage=Stage.INDEX, code=code, message=message)

    async def _record(
        self, entry: Claimed, fn: Callable[Concatenate[Session, P], None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Write how it ended; where the database is away the lease runs out, and the entry is done again."""
        try:
            await self._resources.db.write(fn, *args, **kwargs)
        except (UnavailableError, StorageFullError) as error:
            log.warning("entry_not_recorded", entry=str(entry.id), error=str(error))


async def _by_model(work: Callable[[Sequence[T]], Awaitable[list[R]]], items: Sequence[T]) -> list[R]:
    """Do the work for the items of each embedding model; return the results in the order of the items."""
    groups: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        entry = item.entry if isinstance(item, Ready) else item.ready.entry
        groups.setdefault(entry.embedding_model, []).append(number)
    results: dict[int, R] = {}
    for numbers in groups.values():
        done = await work([items[number] for number in numbers])
        results |= dict(zip(numbers, done, strict=True))
    return [results[number] for number in range(len(items))]


def _content(session: Session, entry_id: UUID, version: int) -> EntryContent:
    content = session.scalar(
        select(EntryContent).where(EntryContent.entry_id == entry_id, EntryContent.version == version)
    )
    return content or EntryContent(entry_id=entry_id, version=version)


def _is_html(fetched: Fetched) -> bool:
    return fetched.media_type in _HTML
