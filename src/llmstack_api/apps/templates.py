"""App templates: the example apps, ready to be saved as they are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast
from uuid import UUID

from llmstack_api.apps.yaml import load_yaml
from llmstack_api.engine.plan import Registry
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import Fault, InvalidInputError, TemplateNotFoundError

_PACKAGE: Final = Path(__file__).parents[1]
_NO_DATASOURCE: Final = re.compile(r"^( *datasource: )\[\]$", re.MULTILINE)
_MODEL_FIELDS: Final = frozenset({"model", "provider_config"})
"""Config fields of processors that ask a model."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be there before an app can do its work."""

    model: bool
    datasource: bool
    web_search: bool


@dataclass(frozen=True, slots=True)
class Template:
    """An app to begin with."""

    slug: str
    text: str
    """YAML, with the comments that explain it."""
    definition: JsonObject


def examples_folder() -> Path:
    """Return the examples: inside the wheel, else at the root of the checkout."""
    packaged = _PACKAGE / "_examples"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "examples"


@cache
def load_templates() -> Mapping[str, Template]:
    """Return the templates by their slugs; read from files once, which takes some milliseconds."""
    files = sorted(examples_folder().glob("*.yaml"))
    return MappingProxyType({file.stem: _template(file.stem, file.read_text("utf-8")) for file in files})


def _template(slug: str, text: str) -> Template:
    return Template(slug, text, cast("JsonObject", load_yaml(text.encode())))


def find_template(slug: str, *, datasource: UUID | None = None) -> Template:
    """Return a template, with a datasource filled in where it needs one.

    Raises:
        TemplateNotFoundError: there is none of this slug.
        InvalidInputError: a datasource is given, and it takes none.
    """
    template = load_templates().get(slug)
    if template is None:
        raise TemplateNotFoundError("There is no such app template; GET /api/apps/templates lists them.")
    if datasource is None:
        return template
    text, count = _NO_DATASOURCE.subn(rf"\g<1>[{datasource}]", template.text)
    if not count:
        fault = Fault("query.datasource", f"the template {slug} takes no datasource")
        raise InvalidInputError(f"{fault.loc}: {fault.msg}", faults=(fault,))
    return _template(slug, text)


def needs_of(definition: JsonObject, registry: Registry) -> Needs:
    """Tell what an app needs, by the processors that it is made of."""
    names = [f"{step['provider_slug']}/{step['processor_slug']}" for step in definition.get("processors", ())]
    kinds = [registry[name] for name in names if name in registry]
    return Needs(
        model=definition.get("type_slug") == "agent"
        or any(_MODEL_FIELDS & kind.Config.model_fields.keys() for kind in kinds),
        datasource=any("datasource" in kind.references.values() for kind in kinds),
        web_search="promptly/web_search" in names,
    )
