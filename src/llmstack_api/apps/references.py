"""What a definition names of its account: datasources and other apps, which have to be there."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.engine.definition import Reference
from llmstack_api.engine.graph import apps_named_in
from llmstack_api.engine.plan import Registry
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import Fault
from llmstack_api.models import App, AppVersion, Datasource

MAX_NESTED = 100
"""Apps that are looked at to find one that runs itself; what is not found here is bounded when it runs."""


def check_references(
    session: Session,
    references: Sequence[Reference],
    *,
    account_id: UUID,
    app_id: UUID | None,
    registry: Registry,
) -> list[Fault]:
    """Return a fault for each thing that the account has not, and for each app that would run itself.

    `app_id` is the app whose definition it is; None where it is a new one.
    """
    faults: list[Fault] = []
    for reference in references:
        wanted = _uuid(reference.id)
        if wanted is None or not _has(session, reference, wanted, account_id):
            faults.append(Fault(reference.loc, f"this account has no {reference.kind} {reference.id[:64]!r}"))
        elif (
            reference.kind == "app"
            and app_id is not None
            and _leads_to(session, wanted, app_id, account_id, registry)
        ):
            faults.append(Fault(reference.loc, "the app would run itself, at once or by way of other apps"))
    return faults


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _has(session: Session, reference: Reference, wanted: UUID, account_id: UUID) -> bool:
    if reference.kind == "app":
        query = select(App.id).where(App.id == wanted, App.account_id == account_id)
    else:
        query = select(Datasource.id).where(
            Datasource.id == wanted, Datasource.account_id == account_id, Datasource.deleted_at.is_(None)
        )
    return session.scalar(query) is not None


def _leads_to(session: Session, start: UUID, goal: UUID, account_id: UUID, registry: Registry) -> bool:
    pending, seen = [start], {start}
    while pending and len(seen) <= MAX_NESTED:
        app_id = pending.pop()
        if app_id == goal:
            return True
        definition: JsonObject | None = session.scalar(
            select(AppVersion.definition)
            .join(App, (App.id == AppVersion.app_id) & (App.version == AppVersion.number))
            .where(App.id == app_id, App.account_id == account_id)
        )
        for name in apps_named_in(definition or {}, registry):
            named = _uuid(name)
            if named is not None and named not in seen:
                seen.add(named)
                pending.append(named)
    return False
