"""Compiled plans, kept by app and version: what every run asks for first."""

from collections import OrderedDict
from threading import Lock
from typing import cast
from uuid import UUID

import orjson
from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from llmstack_api.apps.service import NO_SUCH_APP
from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.plan import Plan, Registry
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import AppNotFoundError, InvalidDefinitionError
from llmstack_api.models import App, AppVersion

MAX_BYTES = 16 * 1024 * 1024
"""Definitions, as JSON, whose plans are kept; a plan takes several times its definition."""

_APPS = cast("Table", App.__table__)
_VERSION = select(_APPS.c.version).where(
    _APPS.c.id == bindparam("app_id"), _APPS.c.account_id == bindparam("account_id")
)
_DEFINITION = select(AppVersion.definition).where(
    AppVersion.app_id == bindparam("app_id"), AppVersion.number == bindparam("version")
)

_Key = tuple[UUID, int]


def compile_saved(definition: JsonObject, registry: Registry) -> Plan:
    """Compile a definition that was saved.

    Raises:
        InvalidDefinitionError: it was saved when a processor was known that no longer is.
    """
    plan, findings = compile_app(definition, registry)
    if plan is None:
        first = findings.faults[0]
        raise InvalidDefinitionError(
            f"The app does not run under this version of the server: {first.loc}: {first.msg}",
            faults=tuple(findings.faults),
        )
    return plan


class Plans:
    """The plans used last. A version never changes, so none goes stale; any thread may ask."""

    def __init__(self, registry: Registry, size: int = 256, *, max_bytes: int = MAX_BYTES) -> None:
        self._registry = registry
        self._size = size
        self._max_bytes = max_bytes
        self._kept: OrderedDict[_Key, tuple[Plan, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def find(self, session: Session, *, account_id: UUID, app_id: UUID) -> tuple[int, Plan]:
        """Return the current version of an app and its plan.

        Raises:
            AppNotFoundError: the account has no such app.
            InvalidDefinitionError: see `compile_saved`.
        """
        version = session.execute(_VERSION, {"app_id": app_id, "account_id": account_id}).scalar()
        if version is None:
            raise AppNotFoundError(NO_SUCH_APP)
        key = (app_id, version)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return version, self._kept[key][0]
        definition = session.execute(_DEFINITION, {"app_id": app_id, "version": version}).scalar()
        if definition is None:  # deleted since the statement before
            raise AppNotFoundError(NO_SUCH_APP)
        plan = compile_saved(definition, self._registry)
        self._keep(key, plan, len(orjson.dumps(definition)))
        return version, plan

    def _keep(self, key: _Key, plan: Plan, size: int) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = (plan, size)
            self._bytes += size
            while len(self._kept) > self._size or (self._bytes > self._max_bytes and len(self._kept) > 1):
                _, (_, dropped) = self._kept.popitem(last=False)
                self._bytes -= dropped
