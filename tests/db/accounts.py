"""The smallest transactions there are, for tests of what carries them out."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llmstack_api.db import Database, open_database
from llmstack_api.models import Account


def add_account(session: Session, name: str) -> None:
    session.add(Account(name=name))


def count_accounts(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(Account)).one()


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Database]:
    db = open_database(url)
    try:
        yield db
    finally:
        await db.close()
