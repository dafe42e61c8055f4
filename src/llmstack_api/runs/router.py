"""The run endpoint, the history of runs, and sessions."""

from typing import Annotated
from uuid import UUID

import anyio
import orjson
from fastapi import Header, Path, Query, Request, Response

from llmstack_api.auth import Scope
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.runner import Ending, Outcome
from llmstack_api.errors import (
    Fault,
    InvalidInputError,
    LLMStackError,
    RunInterruptedError,
    SessionNotFoundError,
)
from llmstack_api.models import AppSession, Run, RunStatus, new_id
from llmstack_api.runs import examples, service, sessions
from llmstack_api.runs.execution import Executor, LiveRun
from llmstack_api.runs.requests import RunRoute
from llmstack_api.runs.schemas import (
    SESSION_ID_PATTERN,
    ErrorOut,
    RunAnswer,
    RunIn,
    RunOut,
    RunSummary,
    SessionOut,
    SessionRef,
    SessionSummary,
    UsageOut,
)
from llmstack_api.runs.service import RunWanted
from llmstack_api.web.deps import CallerDep, DatabaseDep, ResourcesDep
from llmstack_api.web.idempotency import REPLAYED, ClaimDep
from llmstack_api.web.paging import BLANK_IS_ABSENT, LINK_HEADER, PageDep, cut
from llmstack_api.web.problems import problem, problems
from llmstack_api.web.routing import api_router, needs
from llmstack_api.web.streaming import StreamedAnswer, client_left, encoding_for, stream_headers

router = api_router("/api", route_class=RunRoute)

_RUN_PROBLEMS = problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 424, 500, 502, 503, 504)
_CLIENT_LEFT = 499
"""Status in the access log of a run whose client left; nobody reads it."""

SessionPath = Annotated[
    str, Path(description="The session's id, as its caller chose it.", examples=["visitor-42"])
]


@router.post(
    "/apps/{app_uuid}/run",
    tags=["Runs"],
    summary="Run an app",
    response_model=RunAnswer,
    responses={200: examples.RUN_ANSWERS, **_RUN_PROBLEMS},
    openapi_extra=examples.RUN_REQUEST,
)
@needs(Scope.RUN)
async def run_app(
    app_uuid: UUID,
    body: RunIn,
    request: Request,
    caller: CallerDep,
    resources: ResourcesDep,
    claim: ClaimDep,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Run an app with values for its input fields.

    Blocking by default: the answer comes when the run has ended. With `"stream": true` the output comes as it is
    made, one JSON object a line: `session` and `run` first, then chunks of values by output key, at last `done`.
    Stitch the chunks: strings of one key are concatenated, arrays appended, any other value arrives whole; the
    result equals the blocking `output`. A stream without a `done` line was cut off.

    With `Accept: text/event-stream` a streamed run comes as server-sent events with the same JSON.

    Without a `session_id` the run starts a new session, whose id is in the answer.

    Fields of files take data URIs: `data:<mime>;name=<file name>;base64,<data>`. Or send `multipart/form-data` with
    one part a field; the parts `input` (a JSON object of further fields), `stream` and `session_id` are reserved.
    """
    return await _run(app_uuid, body, body.session_id, request, caller, resources, claim, accept)


@router.post(
    "/apps/{app_uuid}/run/{session_id}",
    tags=["Runs"],
    summary="Run an app in a session",
    response_model=RunAnswer,
    responses={200: examples.RUN_ANSWERS, **_RUN_PROBLEMS},
    openapi_extra=examples.RUN_REQUEST,
)
@needs(Scope.RUN)
async def run_app_in_session(
    app_uuid: UUID,
    session_id: Annotated[
        str,
        Path(
            description="1-128 characters of `[A-Za-z0-9._:-]`; made when new to this app.",
            examples=["visitor-42"],
        ),
    ],
    body: RunIn,
    request: Request,
    caller: CallerDep,
    resources: ResourcesDep,
    claim: ClaimDep,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Run an app as the next turn of a session: its processors remember the earlier ones.

    Runs of one session take turns in the order they came; where more than 100 wait already, the next one is a 503.
    Otherwise the same as running without a session.
    """
    if body.session_id is not None and body.session_id != session_id:
        raise _invalid("session_id", "differs from the one in the path; give one of them")
    return await _run(app_uuid, body, session_id, request, caller, resources, claim, accept)


async def _run(
    app_uuid: UUID,
    body: RunIn,
    session_id: str | None,
    request: Request,
    caller: CallerDep,
    resources: ResourcesDep,
    claim: ClaimDep,
    accept: str,
) -> Response:
    if session_id is not None and not service.is_session_id(session_id):
        raise _invalid("session_id", f"must match {SESSION_ID_PATTERN}")
    executor: Executor = request.app.state.executor
    run = await executor.prepare(
        RunWanted(
            account_id=caller.account_id,
            app_id=app_uuid,
            session_name=session_id or str(new_id()),
            new_session=session_id is None,
            input=body.input,
            streamed=body.stream,
            owner=resources.replica.id,
            claim=claim,
        )
    )
    if isinstance(run, Run):
        return _replay(run, accept)
    if body.stream:
        settings = resources.settings
        return StreamedAnswer(
            run,
            encoding_for(accept),
            heartbeat=settings.heartbeat_interval,
            stall=settings.write_timeout,
        )
    return await _answer(run, request)


async def _answer(run: LiveRun, request: Request) -> Response:
    """Wait for a blocking run, or for its client to leave, whichever comes first."""
    async with run:
        outcome: Outcome | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_watch, request, group.cancel_scope)
            outcome = await run.finish()
            group.cancel_scope.cancel()
    if outcome is None:
        return Response(status_code=_CLIENT_LEFT)
    run_id = str(run.prepared.run_id)
    if outcome.ending != Ending.SUCCEEDED:
        error = outcome.errors[0] if outcome.errors else RunInterruptedError()
        return problem(error, request.scope, run_id=run_id)
    return _blocking(run.prepared.session_name, run_id, outcome.output, outcome.usage.as_json())


async def _watch(request: Request, scope: anyio.CancelScope) -> None:
    await client_left(request.receive)
    scope.cancel()


def _blocking(
    session: str, run_id: str, output: JsonObject, usage: JsonObject, *, replayed: bool = False
) -> Response:
    body = {
        "session": {"id": session},
        "output": output,
        "run": {"id": run_id, "status": RunStatus.SUCCEEDED},
        "usage": usage,
    }
    return Response(orjson.dumps(body), headers=REPLAYED if replayed else None, media_type="application/json")


def _replay(run: Run, accept: str) -> Response:
    """Answer as the finished run did: the same object, or a stream that stitches to it."""
    usage: JsonObject = {"input_tokens": run.input_tokens, "output_tokens": run.output_tokens}
    output = run.output or {}
    if not run.streamed:
        return _blocking(run.session, str(run.id), output, usage, replayed=True)
    encoding = encoding_for(accept)
    body = encoding.head({"session": {"id": run.session}, "run": {"id": str(run.id)}})
    if output:
        body += encoding.chunk(output)
    body += encoding.done({"status": run.status, "usage": usage})
    return Response(body, headers=stream_headers(encoding) | REPLAYED)


def _invalid(loc: str, msg: str) -> LLMStackError:
    return InvalidInputError(f"{loc}: {msg}", faults=(Fault(loc, msg),))


# --- history ---------------------------------------------------------------------------------------------


@router.get(
    "/runs",
    tags=["Runs"],
    summary="List runs",
    responses={
        200: {"headers": LINK_HEADER, **examples.answer([examples.RUN_SUMMARY])},
        **problems(401, 403, 422),
    },
)
@needs(Scope.RUN, Scope.READ)
async def list_runs(
    request: Request,
    response: Response,
    caller: CallerDep,
    db: DatabaseDep,
    page: PageDep,
    app: Annotated[UUID | None, BLANK_IS_ABSENT, Query(description="Only runs of this app.")] = None,
    session: Annotated[str, Query(description="Only runs of this session.")] = "",
    status: Annotated[
        RunStatus | None, BLANK_IS_ABSENT, Query(description="Only runs with this status.")
    ] = None,
) -> list[RunSummary]:
    """Return the account's runs, newest first, without their inputs and outputs."""
    if session and not service.is_session_id(session):
        raise _invalid("query.session", f"must match {SESSION_ID_PATTERN}")
    rows = await db.read(
        service.list_runs,
        account_id=caller.account_id,
        page=page,
        app_id=app,
        session_name=session or None,
        status=status,
    )
    return [RunSummary(**_summary(run)) for run in cut(rows, page, request, response)]


@router.get(
    "/runs/{run_id}",
    tags=["Runs"],
    summary="Get a run",
    responses={200: examples.answer(examples.RUN), **problems(401, 403, 404)},
)
@needs(Scope.RUN, Scope.READ)
async def get_run(run_id: UUID, caller: CallerDep, db: DatabaseDep) -> RunOut:
    """Return one run: input (of files only what they were), output, usage, and how each step went."""
    run = await db.read(service.get_run, account_id=caller.account_id, run_id=run_id)
    return RunOut(**_summary(run), input=run.input, output=run.output, steps=run.steps or [])


def _summary(run: Run) -> JsonObject:
    return {
        "id": run.id,
        "status": run.status,
        "app": run.app_id,
        "version": run.app_version,
        "session": SessionRef(id=run.session),
        "stream": run.streamed,
        "usage": UsageOut(input_tokens=run.input_tokens, output_tokens=run.output_tokens),
        "errors": [ErrorOut(**error) for error in run.errors or ()],
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }


# --- sessions --------------------------------------------------------------------------------------------


@router.get(
    "/apps/{app_uuid}/sessions",
    tags=["Sessions"],
    summary="List the sessions of an app",
    responses={
        200: {"headers": LINK_HEADER, **examples.answer([examples.SESSION_SUMMARY])},
        **problems(401, 403, 404, 422),
    },
)
@needs(Scope.RUN, Scope.READ)
async def list_sessions(
    app_uuid: UUID, request: Request, response: Response, caller: CallerDep, db: DatabaseDep, page: PageDep
) -> list[SessionSummary]:
    """Return the sessions of an app, newest first."""
    rows = await db.read(sessions.list_sessions, account_id=caller.account_id, app_id=app_uuid, page=page)
    return [_session(row) for row in cut(rows, page, request, response)]


@router.get(
    "/apps/{app_uuid}/sessions/{session_id}",
    tags=["Sessions"],
    summary="Get a session",
    responses={200: examples.answer(examples.SESSION), **problems(401, 403, 404)},
)
@needs(Scope.RUN, Scope.READ)
async def get_session(
    app_uuid: UUID, session_id: SessionPath, caller: CallerDep, db: DatabaseDep
) -> SessionOut:
    """Return a session with what each processor remembers of it."""
    _refuse_impossible(session_id)
    found = await db.read(
        sessions.get_session, account_id=caller.account_id, app_id=app_uuid, name=session_id
    )
    return SessionOut(**_session(found.session).model_dump(), messages=found.messages)


@router.delete(
    "/apps/{app_uuid}/sessions/{session_id}",
    tags=["Sessions"],
    summary="Delete a session",
    status_code=204,
    responses=problems(401, 403, 404),
)
async def delete_session(app_uuid: UUID, session_id: SessionPath, caller: CallerDep, db: DatabaseDep) -> None:
    """Forget a session and all that its processors remember. Its runs stay in the history."""
    _refuse_impossible(session_id)
    await db.write(sessions.delete_session, account_id=caller.account_id, app_id=app_uuid, name=session_id)


def _refuse_impossible(session_id: str) -> None:
    if not service.is_session_id(session_id):
        raise SessionNotFoundError(sessions.NO_SUCH_SESSION)


def _session(row: AppSession) -> SessionSummary:
    return SessionSummary(id=row.name, created_at=row.created_at, updated_at=row.updated_at)
