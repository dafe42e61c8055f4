"""`/api/providers`: the model providers, and an account's own settings of them."""

import asyncio
from typing import Annotated, Final, Literal

from fastapi import Body

from llmstack_api.auth import Scope
from llmstack_api.egress import Egress, check_url, parse_url
from llmstack_api.errors import (
    AddressRefusedError,
    Fault,
    ProviderNotConfiguredError,
    ProviderNotFoundError,
    RunError,
)
from llmstack_api.known_providers import PROVIDERS, KnownProvider
from llmstack_api.llm.catalog import resolve
from llmstack_api.providers import examples, service
from llmstack_api.providers.schemas import (
    MAX_URL,
    CheckOut,
    ProviderIn,
    ProviderOut,
    SavedProviderOut,
    WarningOut,
)
from llmstack_api.providers.service import Secrets, Stored, Wanted
from llmstack_api.resources import Resources
from llmstack_api.secrets import UnreadableSecretError
from llmstack_api.web.deps import CallerDep, ResourcesDep
from llmstack_api.web.problems import problems
from llmstack_api.web.routing import api_router, needs

CHECK_TIMEOUT: Final = 10.0
"""Seconds that a provider has to answer a check."""

MIN_HINTED: Final = 16
"""Characters of a key from which on its last ones say too little to matter."""

HINT: Final = 4

router = api_router("/api/providers", tags=["Providers"])


@router.get(
    "", summary="List providers", responses={200: examples.answer(examples.LIST), **problems(401, 403)}
)
@needs(Scope.READ, Scope.ADMIN)
async def list_providers(caller: CallerDep, resources: ResourcesDep) -> list[ProviderOut]:
    """Return every model provider that is known, and how this account reaches it.

    Keys and the values of headers are in no answer; neither is the operator's address.
    """
    rows = await resources.db.read(service.provider_settings, account_id=caller.account_id)
    by_slug = {row.slug: row for row in rows}
    await _prepare(resources, rows)
    return [_shown(resources, known, by_slug.get(slug)) for slug, known in PROVIDERS.items()]


@router.get(
    "/{slug}",
    summary="Get a provider",
    responses={200: examples.answer(examples.OWN), **problems(401, 403, 404)},
)
@needs(Scope.READ, Scope.ADMIN)
async def get_provider(slug: str, caller: CallerDep, resources: ResourcesDep) -> ProviderOut:
    """Return one model provider, and how this account reaches it."""
    known, row = await _find(resources, slug, caller)
    return _shown(resources, known, row)


@router.put(
    "/{slug}",
    summary="Store a provider's settings",
    responses={
        200: examples.answers(examples.SAVED),
        **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
    },
)
@needs(Scope.ADMIN)
async def put_provider(
    slug: str,
    body: Annotated[ProviderIn, Body(openapi_examples=examples.BODIES)],
    caller: CallerDep,
    resources: ResourcesDep,
) -> SavedProviderOut:
    """Store how this account reaches a provider, in place of what was stored before.

    With a key or an address of its own the account uses nothing of the operator's: neither key nor address. A key
    belongs to the address that it was stored for: with another `base_url` and no `api_key`, the stored key is
    dropped, and `warnings` says so. The key and the headers are encrypted.
    """
    known = _known(slug)
    wanted = Wanted(
        base_url=None if body.base_url is None else _address(body.base_url, resources.egress),
        default_model=body.default_model,
        headers=body.headers,
        api_key=body.api_key,
        keep_key="api_key" not in body.model_fields_set,
    )
    await resources.cipher.prepare()
    row, warnings = await resources.db.write(
        service.store, known, account_id=caller.account_id, wanted=wanted, cipher=resources.cipher
    )
    return SavedProviderOut(
        **_shown(resources, known, row).model_dump(),
        warnings=[WarningOut(loc=warning.loc, msg=warning.msg) for warning in warnings],
    )


@router.delete(
    "/{slug}", summary="Delete a provider's settings", status_code=204, responses=problems(401, 403, 404)
)
@needs(Scope.ADMIN)
async def delete_provider(slug: str, caller: CallerDep, resources: ResourcesDep) -> None:
    """Delete what this account has stored for a provider; from then on the operator's settings hold."""
    await resources.db.write(service.remove, _known(slug), account_id=caller.account_id)


@router.post(
    "/{slug}/check",
    summary="Check a provider",
    responses={200: examples.answers(examples.CHECKS), **problems(401, 403, 404)},
)
@needs(Scope.ADMIN)
async def check_provider(slug: str, caller: CallerDep, resources: ResourcesDep) -> CheckOut:
    """Ask a provider for its models, as a run of this account would reach it, and tell what came of it.

    It has 10 seconds. That it does not answer is an answer too: 200, with `ok` false.
    """
    known, row = await _find(resources, slug, caller)
    try:
        own = None if row is None else service.settings_of(resources.cipher, row)
        async with asyncio.timeout(CHECK_TIMEOUT):
            result = await resources.models.check(known.slug, own)
    except RunError as error:
        return CheckOut(ok=False, detail=str(error), models=[])
    except TimeoutError:
        detail = f"The provider {known.slug!r} did not answer within {CHECK_TIMEOUT:g} seconds."
        return CheckOut(ok=False, detail=detail, models=[])
    return CheckOut(ok=result.ok, detail=result.detail, models=list(result.models))


def _known(slug: str) -> KnownProvider:
    known = PROVIDERS.get(slug)
    if known is None:
        raise ProviderNotFoundError(f"There is no such provider; known are {', '.join(sorted(PROVIDERS))}.")
    return known


async def _find(resources: Resources, slug: str, caller: CallerDep) -> tuple[KnownProvider, Stored | None]:
    known = _known(slug)
    row = await resources.db.read(service.find, account_id=caller.account_id, slug=slug)
    await _prepare(resources, [row] if row else [])
    return known, row


async def _prepare(resources: Resources, rows: list[Stored]) -> None:
    if any(row.secret for row in rows):
        await resources.cipher.prepare()


def _address(text: str, egress: Egress) -> str:
    """Return an address as it is stored, so that the same one is known again.

    Raises:
        AddressRefusedError: it can be no provider's, or it is not public.
    """
    try:
        check_url(text, egress)
    except AddressRefusedError as error:
        raise _refused(str(error)) from None
    url = parse_url(text)
    if url.fragment:
        raise _refused("The address must not have a fragment (#).")
    address = str(url) if url.query else str(url).rstrip("/")
    if len(address) > MAX_URL:  # what is not ASCII is written as several characters
        raise _refused(f"The address is longer than {MAX_URL} characters.")
    return address


def _refused(reason: str) -> AddressRefusedError:
    fault = Fault("base_url", reason)
    return AddressRefusedError(f"{fault.loc}: {fault.msg}", faults=(fault,))


def _shown(resources: Resources, known: KnownProvider, row: Stored | None) -> ProviderOut:
    opened, error = Secrets(), None
    if row is not None:
        try:
            opened = service.secrets_of(resources.cipher, row)
        except UnreadableSecretError:
            error = service.UNREADABLE
    return ProviderOut(
        slug=known.slug,
        name=known.name,
        configured=_configured(resources, known, row),
        base_url=row.base_url if row else None,
        default_model=(row.default_model if row else None) or known.chat,
        has_key=row is not None and row.has_key,
        key_hint=_hint(opened.api_key),
        headers=list(opened.headers),
        updated_at=row.updated_at if row else None,
        error=error,
    )


def _configured(
    resources: Resources, known: KnownProvider, row: Stored | None
) -> Literal["account", "operator"] | None:
    if row is not None and (row.base_url is not None or row.has_key):
        return "account"
    try:
        resolve(resources.settings, known.slug)
    except ProviderNotConfiguredError:
        return None
    return "operator"


def _hint(key: str | None) -> str | None:
    return key[-HINT:] if key is not None and len(key) >= MIN_HINTED else None
