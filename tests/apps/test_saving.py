from typing import Any

import pytest

from llmstack_api.apps.saving import MAX_DEFINITION_BYTES, changed, check
from llmstack_api.errors import BodyTooLargeError, InvalidDefinitionError
from llmstack_api.models import new_id
from tests.apps.definitions import fixed
from tests.server import RunningServer

BEFORE: dict[str, Any] = {"name": "A", "description": "d", "icon": "i", "output": {"a": "b"}}


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({}, BEFORE),
        ({"name": "B"}, {**BEFORE, "name": "B"}),
        ({"description": None, "icon": ""}, {"name": "A", "output": {"a": "b"}}),
        ({"config": {"x": 1}}, {**BEFORE, "config": {"x": 1}}),
        ({"output": {"c": "d"}}, {**BEFORE, "output": {"c": "d"}}),
        (
            {"output_template": {"markdown": "x"}},
            {"name": "A", "description": "d", "icon": "i", "output_template": {"markdown": "x"}},
        ),
        ({"output_template": None}, BEFORE),
        ({"output": None}, {"name": "A", "description": "d", "icon": "i"}),
        (
            {"output_template": {"markdown": "x"}, "output": {"c": "d"}},
            {**BEFORE, "output_template": {"markdown": "x"}, "output": {"c": "d"}},
        ),
        ({"name": None}, {**BEFORE, "name": None}),
        ({"unknown": None}, {**BEFORE, "unknown": None}),
    ],
)
def test_changes_replace_keys_and_null_takes_an_optional_one_away(
    changes: dict[str, Any], after: dict[str, Any]
) -> None:
    before = dict(BEFORE)

    assert changed(before, changes) == after
    assert before == BEFORE


def test_giving_output_takes_output_template_away() -> None:
    before = {"name": "A", "output_template": {"markdown": "x"}}

    assert changed(before, {"output": {"a": "b"}}) == {"name": "A", "output": {"a": "b"}}


@pytest.mark.parametrize("changes", [[], "x", 5, None])
def test_changes_that_are_no_object_are_left_to_be_refused(changes: Any) -> None:
    assert changed(BEFORE, changes) == changes


async def test_a_definition_over_its_bound_is_refused(server: RunningServer) -> None:
    with pytest.raises(BodyTooLargeError, match="at most 1048576 bytes"):
        await check(fixed(description="x" * MAX_DEFINITION_BYTES), server.resources, account_id=new_id())
    assert (
        await check(
            fixed(description="x" * (MAX_DEFINITION_BYTES - 100)), server.resources, account_id=new_id()
        )
        == ()
    )


async def test_the_detail_names_the_first_fault_and_the_faults_are_all_there(server: RunningServer) -> None:
    with pytest.raises(InvalidDefinitionError, match=r"^colour: unknown key") as caught:
        await check(fixed(colour=1, output={"done": "x"}), server.resources, account_id=new_id())

    assert [fault.loc for fault in caught.value.faults] == ["colour", "output.done"]
