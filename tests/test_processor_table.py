from pathlib import Path

import pytest

from llmstack_api.processors import REGISTRY
from tests.processor_table import render

PAGE = Path(__file__).parents[1] / "docs" / "processor-reference.md"


def test_the_page_of_processors_is_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == render()


@pytest.mark.parametrize("part", ["Input", "Config", "Output"])
@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_field_of_every_processor_is_described(name: str, part: str) -> None:
    schema = getattr(REGISTRY[name], part).model_json_schema()
    shapes = schema.get("properties", {}).items()
    bare = [field for field, shape in shapes if not shape.keys() & {"description", "$ref"}]
    assert bare == []
