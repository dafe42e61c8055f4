"""`/api/tokens`: an account's tokens; the secret is shown once."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from llmstack_api import auth
from llmstack_api.auth import Scope
from llmstack_api.engine.ports import JsonObject
from llmstack_api.models import Token, now
from llmstack_api.web.deps import CallerDep, DatabaseDep
from llmstack_api.web.paging import LINK_HEADER, PageDep, cut
from llmstack_api.web.problems import problems
from llmstack_api.web.routing import RequestModel, api_router, needs

router = api_router("/api/tokens", tags=["Tokens"])


def _in_the_future(moment: datetime) -> datetime:
    if moment <= now():
        raise ValueError("must lie in the future")
    return moment


class TokenIn(RequestModel):
    """A token to make."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["website"])]
    """What it is for."""
    scopes: Annotated[list[Scope], Field(min_length=1, examples=[["run", "read"]])] = Field(
        default_factory=lambda: list(Scope)
    )
    """What it may do: `run` apps, `read` everything, `write` apps and datasources, `admin` tokens and providers."""
    expires_at: Annotated[AwareDatetime, AfterValidator(_in_the_future)] | None = None
    """When it stops being valid; never, if left out."""


class TokenOut(BaseModel):
    """A token, without its secret."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    uuid: UUID
    name: str
    hint: str
    """First characters of the secret."""
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """When it was last used, give or take a minute."""


class NewToken(TokenOut):
    """A token that was just made."""

    token: str
    """The secret. It is not shown again."""


_TOKEN: JsonObject = {
    "uuid": "0192f0b0-5c1d-7e2f-8a3b-4c5d6e7f8091",
    "name": "website",
    "hint": "lls_Zk3p",
    "scopes": ["run", "read"],
    "created_at": "2026-01-05T09:30:00.000000Z",
    "expires_at": None,
    "last_used_at": None,
}


@router.get(
    "",
    summary="List tokens",
    responses={
        200: {"headers": LINK_HEADER, "content": {"application/json": {"example": [_TOKEN]}}},
        **problems(401, 403, 422),
    },
)
@needs(Scope.READ, Scope.ADMIN)
async def list_tokens(
    request: Request, response: Response, caller: CallerDep, db: DatabaseDep, page: PageDep
) -> list[TokenOut]:
    """Return the account's tokens that were not revoked, newest first."""
    rows = await db.read(
        auth.list_tokens, account_id=caller.account_id, limit=page.limit + 1, cursor=page.cursor
    )
    return [TokenOut(**_token(row)) for row in cut(rows, page, request, response)]


@router.post(
    "",
    summary="Make a token",
    status_code=201,
    responses={
        201: {"content": {"application/json": {"example": {**_TOKEN, "token": "lls_…"}}}},
        **problems(400, 401, 403, 413, 415, 422),
    },
)
@needs(Scope.ADMIN)
async def create_token(body: TokenIn, caller: CallerDep, db: DatabaseDep) -> NewToken:
    """Make a token for this account. The secret is in this answer only."""
    row, secret = await db.write(
        auth.create_token,
        account_id=caller.account_id,
        name=body.name,
        scopes=body.scopes,
        expires_at=body.expires_at,
    )
    return NewToken(**_token(row), token=secret)


@router.delete("/{token_uuid}", summary="Revoke a token", status_code=204, responses=problems(401, 403, 404))
@needs(Scope.ADMIN)
async def revoke_token(token_uuid: UUID, caller: CallerDep, db: DatabaseDep) -> None:
    """Revoke a token: requests with it answer 401 from now on."""
    await db.write(auth.revoke_token, account_id=caller.account_id, token_id=token_uuid)


def _token(row: Token) -> JsonObject:
    return {
        "uuid": row.id,
        "name": row.name,
        "hint": row.hint,
        "scopes": row.scopes,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }
