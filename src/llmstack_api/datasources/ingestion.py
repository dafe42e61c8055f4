"""The work of one entry, from its row to READY or FAILED."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Concatenate, Final, ParamSpec, TypeVar
from uuid import UUID

import anyio
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.datasources import children, purging, work
from llmstack_api.datasources.folders import want_reembedding
from llmstack_api.datasources.indexing import (
    NotHeldError,
    Ready,
    Stored,
    remove_unwanted,
    show_entries,
    store_entries,
)
from llmstack_api.datasources.types import SITEMAP
from llmstack_api.datasources.waking import wake
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
from llmstack_api.jobs.lines import FairSlots
from llmstack_api.models import NAME_LENGTH, EntryContent, Stage, Work
from llmstack_api.resources import Resources

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)

BATCH: Final = 64
"""Small entries that are done together at most."""
FLUSH_REST: Final = 8.0
"""How many times as long as a flush took is none after it: nothing else runs while the embedded index flushes."""
CLAIM_REST: Final = 2.0
"""The same for claims, so that each has many entries when many come."""
LARGE_HELD: Final = 4
"""Large entries whose text is in memory at once."""
AWAY_PAUSE: Final = 3.0
"""Seconds before a dependency that is away is tried again."""
LONGEST_PAUSE: Final = 60.0
"""The same where it says itself when to come again."""
RETRY_PAUSES: Final = (1.0, 4.0)
"""Seconds before work that crashed is tried again; then the entry has FAILED."""
RELEASE_TIMEOUT: Final = 2.0
HOST_BUSY: Final = "host-busy"
"""Code of a fetch that did not get its turn at the host, which says nothing about the URL."""
_AWAY: Final = (UnavailableError, StorageFullError)
_HTML: Final = ("text/html", "application/xhtml+xml")


class Ingestion:
    """Does what entries want."""

    def __init__(self, resources: Resources, fetcher: Fetcher, extractor: Extractor) -> None:
        self._resources = resources
        self._fetcher = fetcher
        self._extractor = extractor
        self._held: Counter[UUID] = Counter()
        self._large = FairSlots(LARGE_HELD)
        self._away_until = 0.0
        self._models_away: dict[str, float] = {}
        self._claim = Coalescer(self._claim_all, most=4 * BATCH, rest=CLAIM_REST, together=_AWAY)
        self._stores: dict[tuple[str, str | None, bool], Coalescer[Ready, Stored]] = {}
        self._suspects = asyncio.Semaphore(1)
        self._show = Coalescer(
            partial(_by_collection, self._show_all), most=4 * BATCH, rest=FLUSH_REST, together=_AWAY
        )
        self._purge = Coalescer(self._purge_all, most=4 * BATCH, together=_AWAY)
        self._group: asyncio.TaskGroup | None = None
        self._lanes: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Do the work of `handle` while the context is open."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._lanes = [group.create_task(lane.serve()) for lane in (self._claim, self._show, self._purge)]
            try:
                yield
            finally:
                for lane in self._lanes:
                    lane.cancel()

    @property
    def tokens(self) -> set[UUID]:
        """Of the rows that are held."""
        return set(self._held)

    @property
    def models_away(self) -> list[str]:
        """Embedding models that did not answer a moment ago; their entries wait."""
        moment = asyncio.get_running_loop().time()
        self._models_away = {model: until for model, until in self._models_away.items() if until > moment}
        return list(self._models_away)

    async def handle(self, entry_id: UUID) -> None:
        """Do what an entry wants, if nobody else does; whatever happens is recorded in its row."""
        if asyncio.get_running_loop().time() < self._away_until:
            return  # the row stays as it is, and is found again
        try:
            entry = await self._claim(entry_id)
        except (UnavailableError, StorageFullError) as error:
            self._pause(error)
            return  # likewise
        if entry is None:
            return
        self._held[entry.token] += 1
        try:
            if entry.attempts >= work.SUSPECT:
                async with self._suspects:
                    await self._resources.db.write(work.count_attempt, entry)
                    await self._do(entry)
            else:
                await self._do(entry)
        except asyncio.CancelledError:  # the server stops: another worker, or the next start, goes on at once
            with anyio.move_on_after(RELEASE_TIMEOUT, shield=True):
                await self._record(entry, work.put_off, entry, seconds=0, counts=False)
            raise
        except Exception as error:  # noqa: BLE001 # it becomes a record, whatever it is
            await self._end(entry, error)
            error.__traceback__ = None  # whoever still has it need not hold the content of the entry
        finally:
            self._held[entry.token] -= 1
            if not self._held[entry.token]:
                del self._held[entry.token]
            self._resources.progress.tell([entry.id])

    async def _do(self, entry: Claimed) -> None:
        if entry.work == Work.PURGE:
            await self._purge(entry)
        else:
            await self._ingest(entry)

    async def _ingest(self, entry: Claimed) -> None:
        if entry.text is not None:
            ready = Ready(
                entry=entry,
                document=Document(text=entry.text),
                content_version=entry.content_version,
                keep_text=False,
            )
            await self._index(ready)
        elif entry.kind == SITEMAP:
            await self._read_sitemap(entry)
        elif entry.kind == "url":
            await self._ingest_url(entry)
        else:
            async with self._room(entry):
                await self._index(await self._read(entry))

    def _room(self, entry: Claimed) -> AbstractAsyncContextManager[None]:
        """Have room for a large entry in the block, when it is its account's turn."""
        return self._large.slot(entry.account_id, later=entry.work == Work.REREAD)

    async def _index(self, ready: Ready) -> None:
        entry = ready.entry
        space = await self._resources.embedders.space(entry.embedding_model)
        if entry.collection not in {None, space.collection}:  # what is there is of another make
            await self._resources.db.write(want_reembedding, [entry.datasource_id])
            if entry.dimension != space.dimension:  # and cannot take in what is made now
                await self._record(entry, work.put_off, entry, seconds=AWAY_PAUSE, counts=False)
                return
        stored = await self._lane(entry, large=len(ready.document.text) > work.SMALL)(ready)
        await self._show(stored)

    def _lane(self, entry: Claimed, *, large: bool) -> Coalescer[Ready, Stored]:
        """Return a lane of an embedding model: one that hangs does not hold up others, nor large texts small ones."""
        key = (entry.embedding_model, entry.collection, large)
        lane = self._stores.get(key)
        if lane is None:
            if self._group is None:
                raise RuntimeError("nothing is running")
            lane = self._stores[key] = Coalescer(self._store_all, most=BATCH, together=_AWAY)
            self._lanes.append(self._group.create_task(lane.serve()))
        return lane

    async def _read(self, entry: Claimed) -> Ready:
        content = await self._resources.db.read(_content, entry.id)
        if content is None:
            raise ExtractError("Its content is not there any more; send it again.", code="content-lost")
        version = content.version
        if content.text is not None and content.data is None:
            document = Document(text=content.text)
            return Ready(entry=entry, document=document, content_version=version, keep_text=False)
        await self._at(entry, Stage.EXTRACT)
        document = await self._extractor.extract(
            content.data or b"",
            file_name=content.file_name,
            media_type=content.media_type,
            encoding=entry.wanted_encoding,
        )
        await self._at(entry, Stage.INDEX)
        return Ready(entry=entry, document=document, content_version=version)

    async def _read_sitemap(self, entry: Claimed) -> None:
        await self._at(entry, Stage.FETCH)
        urls = await collect(self._fetcher, entry.source)
        await wake(self._resources, await self._resources.db.write(children.replace_children, entry, urls))

    async def _ingest_url(self, entry: Claimed) -> None:
        await self._at(entry, Stage.FETCH)
        # what is fetched is in memory, and keeps its slot until it is done
        async with self._fetcher.fetching(
            entry.source, etag=entry.etag, last_modified=entry.last_modified
        ) as fetched:
            if isinstance(fetched, NotModified):
                await self._resources.db.write(children.keep_as_it_was, entry)
                return
            async with self._room(entry):
                await self._index(await self._extracted(entry, fetched))

    async def _extracted(self, entry: Claimed, fetched: Fetched) -> Ready:
        await self._at(entry, Stage.EXTRACT)
        document = await self._extractor.extract(
            fetched.data,
            file_name=fetched.file_name,
            media_type=fetched.content_type,
            url=fetched.url,
            main_text=_is_html(fetched),
            encoding=entry.wanted_encoding,
        )
        await self._at(entry, Stage.INDEX)
        title = " ".join((document.title or "").split())[:NAME_LENGTH]
        return Ready(
            entry=entry,
            document=document,
            etag=fetched.etag,
            last_modified=fetched.last_modified,
            name=title or None if entry.name == entry.source[:NAME_LENGTH] else None,
        )

    # --- in batches --------------------------------------------------------------------------------------

    async def _claim_all(self, ids: Sequence[UUID]) -> list[Claimed | None]:
        claimed = {
            entry.id: entry
            for entry in await self._resources.db.write(work.claim, ids, without_models=self.models_away)
        }
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
        if not await self._resources.db.write(work.at_stage, entry, stage):
            raise NotHeldError
        self._resources.progress.tell([entry.id])

    async def _end(self, entry: Claimed, error: Exception) -> None:
        """Record how work ended that did not end well."""
        match error:
            case UnavailableError() | StorageFullError():
                await self._wait_for(entry, error)
            case FetchError(code=code) if code == HOST_BUSY:
                await self._record(entry, work.put_off, entry, seconds=AWAY_PAUSE, counts=False)
            case IngestError() | EmbeddingRefusedError():
                await self._fail(entry, error)
            case NotHeldError():
                await remove_unwanted(self._resources, [entry])
            case _:
                log.error("entry_crashed", entry=str(entry.id), exc_info=error)
                await self._retry(
                    entry, code="internal-error", message="The server failed; its log says more."
                )

    async def _wait_for(self, entry: Claimed, error: UnavailableError | StorageFullError) -> None:
        moment = asyncio.get_running_loop().time()
        if isinstance(error, EmbeddingAwayError):
            pause = min(max(AWAY_PAUSE, error.retry_after or 0), LONGEST_PAUSE)
            if entry.embedding_model not in self.models_away:
                log.warning("ingestion_waits", model=entry.embedding_model, error=str(error))
            self._models_away[entry.embedding_model] = moment + pause
        else:
            pause = AWAY_PAUSE
            self._pause(error)
        why = (error.slug, str(error))
        await self._record(entry, work.put_off, entry, seconds=pause, counts=False, why=why)

    def _pause(self, error: UnavailableError | StorageFullError) -> None:
        """Begin nothing for a while: what everything needs is away."""
        moment = asyncio.get_running_loop().time()
        if moment >= self._away_until:
            log.warning("ingestion_waits", error=str(error))
        self._away_until = moment + AWAY_PAUSE

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
        if entry.work == Work.PURGE:  # that is never given up
            pause = min(2.0**entry.attempts, LONGEST_PAUSE)
            await self._record(entry, work.put_off, entry, seconds=pause, counts=True)
        elif entry.attempts < len(RETRY_PAUSES):
            pause = RETRY_PAUSES[entry.attempts]
            await self._record(entry, work.put_off, entry, seconds=pause, counts=True)
        else:
            await self._record(entry, work.fail, entry, stage=Stage.INDEX, code=code, message=message)

    async def _record(
        self, entry: Claimed, fn: Callable[Concatenate[Session, P], bool], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Write how it ended; where the database is away the lease runs out, and the entry is done again."""
        try:
            if not await self._resources.db.write(fn, *args, **kwargs):
                await remove_unwanted(self._resources, [entry])
        except (UnavailableError, StorageFullError) as error:
            log.warning("entry_not_recorded", entry=str(entry.id), error=str(error))


async def _by_collection(
    work: Callable[[Sequence[Stored]], Awaitable[list[R]]], items: Sequence[Stored]
) -> list[R]:
    """Do the work for the items of each collection; return the results in the order of the items."""
    groups: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        groups.setdefault(item.space.collection, []).append(number)
    results: dict[int, R] = {}
    for numbers in groups.values():
        done = await work([items[number] for number in numbers])
        results |= dict(zip(numbers, done, strict=True))
    return [results[number] for number in range(len(items))]


def _content(session: Session, entry_id: UUID) -> EntryContent | None:
    newest = (
        select(EntryContent).where(EntryContent.entry_id == entry_id).order_by(EntryContent.version.desc())
    )
    return session.scalar(newest.limit(1))


def _is_html(fetched: Fetched) -> bool:
    return fetched.media_type in _HTML
