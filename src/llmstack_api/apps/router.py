"""The app endpoints: definitions, their versions and schemas, and the processors they are made of."""

from functools import partial
from typing import Annotated, Any, ClassVar
from uuid import UUID

from anyio import to_thread
from fastapi import Body, Header, Path, Query, Request, Response
from sqlalchemy.orm import Session

from llmstack_api.apps import examples, saving, service
from llmstack_api.apps.answers import app_json, dump, saved_app_json, template_json
from llmstack_api.apps.plans import compile_saved
from llmstack_api.apps.saving import Warnings
from llmstack_api.apps.schemas import (
    AppChanges,
    AppOut,
    AppSchemaOut,
    ProcessorOut,
    SavedAppOut,
    SchemaOf,
    TemplateOut,
    VersionOut,
)
from llmstack_api.apps.service import StoredApp
from llmstack_api.apps.templates import find_template, load_templates
from llmstack_api.apps.yaml import dump_yaml, load_yaml
from llmstack_api.engine.definition import AppDefinition
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.schemas import describe_processor, input_schema, output_schema
from llmstack_api.web.accept import prefers
from llmstack_api.web.deps import CallerDep, DatabaseDep, ResourcesDep
from llmstack_api.web.idempotency import Answer, Claim, ClaimDep, once
from llmstack_api.web.json import parse_json
from llmstack_api.web.paging import (
    BLANK_IS_ABSENT,
    DEFAULT_LIMIT,
    LINK_HEADER,
    MAX_LIMIT,
    Page,
    PageDep,
    cut,
)
from llmstack_api.web.problems import problems
from llmstack_api.web.routing import JSON, ApiRoute, BodyReader, api_router

YAML = "application/yaml"
YAML_TYPES = (YAML, "application/x-yaml", "text/yaml")
_MAX_NUMBER = 2**31 - 1


def _bounded(read: BodyReader) -> BodyReader:
    def read_definition(body: bytes, /) -> Json:
        saving.check_size(len(body))
        return read(body)

    return read_definition


class DefinitionRoute(ApiRoute):
    """A route that reads app definitions: JSON or YAML, and no larger than one may be."""

    readers: ClassVar[dict[str, BodyReader]] = {
        JSON: _bounded(parse_json),
        **dict.fromkeys(YAML_TYPES, _bounded(load_yaml)),
    }


router = api_router(prefix="/api", route_class=DefinitionRoute)


def _yaml_request(example: str) -> JsonObject:
    return {"requestBody": {"content": {YAML: {"schema": {"type": "string"}, "example": example}}}}


def _example(example: Json, description: str, **more: Json) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"example": example}}, **more}


_APP_ANSWER: dict[str, Any] = {
    "description": "The app; as YAML, its definition as it was written.",
    "content": {
        JSON: {"example": examples.APP},
        YAML: {"schema": {"type": "string"}, "example": examples.ECHO_YAML},
    },
}


@router.post(
    "/apps",
    tags=["Apps"],
    summary="Create an app",
    status_code=201,
    response_model=SavedAppOut,
    responses={
        201: _example(examples.SAVED_APP, "The app was created."),
        **problems(400, 401, 403, 408, 409, 413, 415, 422),
    },
    openapi_extra=_yaml_request(examples.ECHO_YAML),
)
async def create_app(
    definition: Annotated[
        Json, SchemaOf(AppDefinition), Body(title="AppDefinition", openapi_examples=examples.DEFINITIONS)
    ],
    caller: CallerDep,
    resources: ResourcesDep,
    claim: ClaimDep,
) -> Response:
    """Save an app definition, as JSON or as YAML (`Content-Type: application/yaml`).

    The definition is checked as a whole: every fault of it is in the answer's `errors`, each with its place,
    such as `processors[1].input.question`. What was saved runs. What in it has no effect is in `warnings`.
    """
    warnings = await saving.check(definition, resources, account_id=caller.account_id)
    answer, replayed = await resources.db.write(
        _create, claim, account_id=caller.account_id, definition=definition, warnings=warnings
    )
    return answer.response(replayed=replayed)


def _create(
    session: Session, claim: Claim | None, *, account_id: UUID, definition: JsonObject, warnings: Warnings
) -> tuple[Answer, bool]:
    def create(session: Session) -> Answer:
        app = service.create_app(session, account_id=account_id, definition=definition)
        return Answer(status=201, body=dump(saved_app_json(app, warnings)))

    return once(session, claim, create)


@router.get(
    "/apps",
    tags=["Apps"],
    summary="List apps",
    response_model=list[AppOut],
    responses={
        200: _example([examples.APP], "Apps, newest first.", headers=LINK_HEADER),
        **problems(401, 403, 422),
    },
)
async def list_apps(
    request: Request, response: Response, caller: CallerDep, db: DatabaseDep, page: PageDep
) -> Response:
    """Return the account's apps with their current definitions, newest first.

    A page holds fewer than `limit` apps where their definitions are large; the `Link` header leads on.
    """
    apps, filled = await db.read(service.list_apps, account_id=caller.account_id, page=page)
    shown = cut(apps, filled, request, response)
    return Response(dump([app_json(app) for app in shown]), headers=response.headers, media_type=JSON)


@router.get(
    "/apps/templates",
    tags=["Apps"],
    summary="List app templates",
    response_model=list[TemplateOut],
    responses={200: _example(examples.TEMPLATES, "Templates, by their slugs."), **problems(401, 403)},
)
async def list_templates(resources: ResourcesDep) -> Response:
    """Return apps to begin with: each definition can be posted to `/api/apps` as it is, or after changes."""
    templates = await to_thread.run_sync(load_templates)
    return Response(
        dump([template_json(template, resources.registry) for template in templates.values()]),
        media_type=JSON,
    )


@router.get(
    "/apps/templates/{slug}",
    tags=["Apps"],
    summary="Get an app template",
    response_model=TemplateOut,
    responses={
        200: {
            "description": "The template; as YAML, its definition with the comments that explain it.",
            "content": {
                JSON: {"example": examples.TEMPLATE},
                YAML: {"schema": {"type": "string"}, "example": examples.ECHO_YAML},
            },
        },
        **problems(401, 403, 404, 422),
    },
)
async def get_template(
    slug: Annotated[str, Path(description="The template's `slug`.", examples=["echo"])],
    resources: ResourcesDep,
    datasource: Annotated[
        UUID | None,
        BLANK_IS_ABSENT,
        Query(description="Id of a datasource to be filled in, where the app needs one."),
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Return an app to begin with.

    With `Accept: application/yaml` its definition comes as a file with comments, to be read and changed.
    """
    template = await to_thread.run_sync(partial(find_template, slug, datasource=datasource))
    if prefers(accept, YAML_TYPES):
        return Response(template.text, media_type=YAML)
    return Response(dump(template_json(template, resources.registry)), media_type=JSON)


@router.get(
    "/apps/{app_uuid}",
    tags=["Apps"],
    summary="Get an app",
    response_model=AppOut,
    responses={200: _APP_ANSWER, **problems(401, 403, 404)},
)
async def get_app(
    app_uuid: UUID,
    caller: CallerDep,
    db: DatabaseDep,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Return an app with its current definition.

    As JSON, defaults are filled in. With `Accept: application/yaml` the definition comes as it was written,
    to be reviewed, kept and posted again.
    """
    app = await db.read(service.get_app, account_id=caller.account_id, app_id=app_uuid)
    return _shown(app, accept)


@router.patch(
    "/apps/{app_uuid}",
    tags=["Apps"],
    summary="Change an app",
    response_model=SavedAppOut,
    responses={
        200: _example(examples.CHANGED_APP, "The app in its new version."),
        **problems(400, 401, 403, 404, 408, 409, 413, 415, 422),
    },
    openapi_extra=_yaml_request(examples.CHANGES_YAML),
)
async def change_app(
    app_uuid: UUID,
    changes: Annotated[
        Json, SchemaOf(AppChanges), Body(title="AppChanges", openapi_examples=examples.CHANGES)
    ],
    caller: CallerDep,
    resources: ResourcesDep,
) -> Response:
    """Replace keys of an app's definition; those left out stay, and null takes an optional one away.

    The definition that results is checked as a whole and becomes the next version. Where nothing changes
    there is no new version. Giving one of `output` and `output_template` takes the other away.
    """
    app, warnings = await saving.change_app(resources, changes, account_id=caller.account_id, app_id=app_uuid)
    return Response(dump(saved_app_json(app, warnings)), media_type=JSON)


@router.delete(
    "/apps/{app_uuid}",
    tags=["Apps"],
    summary="Delete an app",
    status_code=204,
    responses=problems(401, 403, 404),
)
async def delete_app(app_uuid: UUID, caller: CallerDep, db: DatabaseDep) -> None:
    """Delete an app with its versions and its sessions. Its runs stay in the history."""
    await db.write(service.delete_app, account_id=caller.account_id, app_id=app_uuid)


@router.get(
    "/apps/{app_uuid}/versions",
    tags=["Apps"],
    summary="List the versions of an app",
    response_model=list[VersionOut],
    responses={
        200: _example(examples.VERSIONS, "Versions, newest first.", headers=LINK_HEADER),
        **problems(401, 403, 404, 422),
    },
)
async def list_versions(
    app_uuid: UUID,
    request: Request,
    response: Response,
    caller: CallerDep,
    db: DatabaseDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many rows at most.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        int | None,
        Query(ge=1, le=_MAX_NUMBER, description="Where to go on: taken from the `Link` header."),
    ] = None,
) -> list[VersionOut]:
    """Return the versions of an app, newest first, without their definitions."""
    rows = await db.read(
        service.list_versions, account_id=caller.account_id, app_id=app_uuid, limit=limit, before=cursor
    )
    shown = cut(rows, Page(limit, None), request, response)
    return [VersionOut(version=row.id, created_at=row.created_at) for row in shown]


@router.get(
    "/apps/{app_uuid}/versions/{number}",
    tags=["Apps"],
    summary="Get an app in one of its versions",
    response_model=AppOut,
    responses={200: _APP_ANSWER, **problems(401, 403, 404)},
)
async def get_version(
    app_uuid: UUID,
    number: Annotated[int, Path(ge=1, le=_MAX_NUMBER)],
    caller: CallerDep,
    db: DatabaseDep,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Return an app as one of its versions was, as JSON or as YAML."""
    app = await db.read(service.get_version, account_id=caller.account_id, app_id=app_uuid, number=number)
    return _shown(app, accept)


@router.get(
    "/apps/{app_uuid}/schema",
    tags=["Apps"],
    summary="Get the JSON Schemas of an app",
    responses={200: _example(examples.APP_SCHEMA, "JSON Schemas."), **problems(401, 403, 404, 422)},
)
async def get_schema(app_uuid: UUID, caller: CallerDep, resources: ResourcesDep) -> AppSchemaOut:
    """Return the JSON Schemas of what a run of the app takes as `input` and gives as `output`."""
    app = await resources.db.read(service.get_app, account_id=caller.account_id, app_id=app_uuid)
    plan = await to_thread.run_sync(compile_saved, app.definition, resources.registry)
    return AppSchemaOut(input=input_schema(plan.input_fields), output=output_schema(plan))


@router.get(
    "/processors",
    tags=["Processors"],
    summary="List processors",
    responses={200: _example(examples.PROCESSORS, "Processors, by name."), **problems(401, 403)},
)
async def list_processors(resources: ResourcesDep) -> list[ProcessorOut]:
    """Return the processors that apps are made of, with JSON Schemas of their input, config and output."""
    return [
        ProcessorOut(**describe_processor(resources.registry[name])) for name in sorted(resources.registry)
    ]


def _shown(app: StoredApp, accept: str) -> Response:
    if prefers(accept, YAML_TYPES):
        return Response(dump_yaml(app.definition), media_type=YAML)
    return Response(dump(app_json(app)), media_type=JSON)
