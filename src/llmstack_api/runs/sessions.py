"""Sessions: whose turn it is, and what its processors remember."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import orjson
from sqlalchemy import CursorResult, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from llmstack_api.apps.service import NO_SUCH_APP, get_app
from llmstack_api.db import upsert
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.runner import History
from llmstack_api.errors import AppNotFoundError, SessionNotFoundError, UnavailableError
from llmstack_api.models import AppSession, Turn, new_id, now
from llmstack_api.web.paging import Page, newest_first

NO_SUCH_SESSION = "This app has no such session."

MAX_WAITING = 100
"""Runs that may wait for their turn in one session."""

MAX_TURNS = 1000
"""Newest turns of a session that a run is given."""

MAX_BYTES = 4 * 1024 * 1024
"""Newest messages of a session, as JSON, that a run is given."""

SessionKey = tuple[UUID, UUID, str]
"""Account, app and the id the caller chose."""


_SESSIONS = cast("Table", AppSession.__table__)
_TURNS = cast("Table", Turn.__table__)
_SESSION_ID = select(_SESSIONS.c.id).where(
    _SESSIONS.c.app_id == bindparam("app_id"), _SESSIONS.c.name == bindparam("name")
)
_INSERT_SESSION = insert(_SESSIONS)
_TOUCH_SESSION = update(_SESSIONS).where(_SESSIONS.c.id == bindparam("which"))
_INSERT_TURN = insert(_TURNS)
_NEWEST_TURNS = (
    select(_TURNS.c.processor, _TURNS.c.messages)
    .where(_TURNS.c.session_id == bindparam("session_id"))
    .order_by(_TURNS.c.id.desc())
    .limit(MAX_TURNS)
)


class Ticket:
    """A place in the line of one session."""

    def __init__(self, turns: "Turns", key: SessionKey) -> None:
        self._turns = turns
        self.key = key
        self._called: asyncio.Future[None] | None = None

    @property
    def first(self) -> bool:
        """Whether it is this one's turn."""
        return self._turns.first(self)

    async def wait(self) -> None:
        """Wait until it is this one's turn."""
        while not self.first:
            self._called = asyncio.get_running_loop().create_future()
            await self._called

    def call(self) -> None:
        """Wake who waits with this ticket."""
        if self._called is not None and not self._called.done():
            self._called.set_result(None)

    def leave(self) -> None:
        """Leave the line, wherever in it; a second time does nothing."""
        self._turns.leave(self)


class Turns:
    """Runs of one session take turns in the order they came; those of different sessions never wait."""

    def __init__(self) -> None:
        self._lines: dict[SessionKey, deque[Ticket]] = {}

    def enter(self, key: SessionKey) -> Ticket:
        """Join the line of a session."""
        line = self._lines.setdefault(key, deque())
        if len(line) > MAX_WAITING:
            raise UnavailableError(f"{MAX_WAITING} runs wait for this session already.")
        ticket = Ticket(self, key)
        line.append(ticket)
        return ticket

    def first(self, ticket: Ticket) -> bool:
        """Tell whether a ticket is at the head of its line."""
        line = self._lines.get(ticket.key)
        return bool(line) and line[0] is ticket

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out and call the next."""
        line = self._lines.get(ticket.key)
        if line is None or ticket not in line:
            return
        line.remove(ticket)
        if line:
            line[0].call()
        else:
            del self._lines[ticket.key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A session and its memory."""

    session: AppSession
    messages: dict[str, list[JsonObject]]


def ensure_session(session: Session, *, account_id: UUID, app_id: UUID, name: str, new: bool = False) -> UUID:
    """Return the row of a session, made if it is new to this app; `new` says that it surely is.

    Raises:
        AppNotFoundError: the app is being deleted.
    """
    which = {"app_id": app_id, "name": name}
    known = None if new else session.execute(_SESSION_ID, which).scalar()
    if known is not None:
        return known
    moment = now()
    session_id = new_id()
    row = {"id": session_id, "account_id": account_id, **which, "created_at": moment, "updated_at": moment}
    statement = _INSERT_SESSION if new else upsert(session, AppSession).on_conflict_do_nothing()
    try:
        session.execute(statement, row)
    except IntegrityError as error:  # the app was deleted since it was looked up
        raise AppNotFoundError(NO_SUCH_APP) from error
    if new:
        return session_id
    return session.execute(_SESSION_ID, which).scalar_one()


def load_history(session: Session, *, session_id: UUID) -> History:
    """Return what each step remembers of a session, oldest first."""
    turns: list[tuple[str, list[JsonObject]]] = []
    size = 0
    rows = session.execute(_NEWEST_TURNS, {"session_id": session_id}, execution_options={"yield_per": 50})
    for processor, messages in rows:
        size += len(orjson.dumps(messages))
        if size > MAX_BYTES and turns:
            break
        turns.append((processor, messages))
    history: dict[str, tuple[JsonObject, ...]] = {}
    for processor, messages in reversed(turns):
        history[processor] = (*history.get(processor, ()), *messages)
    return history


def remember(
    session: Session, *, session_id: UUID, run_id: UUID, learned: Mapping[str, list[JsonObject]]
) -> None:
    """Add one run's turn to the memory of its session, unless the session was deleted meanwhile."""
    moment = now()
    touched = session.execute(_TOUCH_SESSION, {"which": session_id, "updated_at": moment})
    if not cast("CursorResult[Any]", touched).rowcount:
        return
    for processor, messages in learned.items():
        session.execute(
            _INSERT_TURN,
            {
                "session_id": session_id,
                "processor": processor,
                "run_id": run_id,
                "messages": messages,
                "created_at": moment,
            },
        )


def list_sessions(session: Session, *, account_id: UUID, app_id: UUID, page: Page) -> list[AppSession]:
    """Return the sessions of an app, newest first."""
    get_app(session, account_id=account_id, app_id=app_id)
    query = select(AppSession).where(AppSession.app_id == app_id)
    return list(session.scalars(newest_first(query, AppSession.id, page)))


def get_session(session: Session, *, account_id: UUID, app_id: UUID, name: str) -> Remembered:
    """Return one session with its memory."""
    found = session.scalar(
        select(AppSession).where(
            AppSession.account_id == account_id, AppSession.app_id == app_id, AppSession.name == name
        )
    )
    if found is None:
        raise SessionNotFoundError(NO_SUCH_SESSION)
    history = load_history(session, session_id=found.id)
    return Remembered(
        session=found, messages={processor: list(messages) for processor, messages in history.items()}
    )


def delete_session(session: Session, *, account_id: UUID, app_id: UUID, name: str) -> None:
    """Delete a session and its memory; its runs stay in the history."""
    found = get_session(session, account_id=account_id, app_id=app_id, name=name)
    session.execute(delete(AppSession).where(AppSession.id == found.session.id))
