import asyncio
from typing import Any

import pytest

from llmstack_api.engine.output import StepOutput, lookup
from llmstack_api.errors import OutputTooLargeError

CONTENT = ("choices", 0, "content")


class Seen:
    """A receiver that writes down what it gets."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def text(self, chunk: str) -> None:
        self.got.append(chunk)

    def items(self, elements: list[Any]) -> None:
        self.got.append(elements)

    def value(self, value: Any) -> None:
        self.got.append({"whole": value})


async def settled(task: asyncio.Task[Any]) -> Any:
    async with asyncio.timeout(1):
        return await task


async def test_a_follower_gets_what_there_was_and_then_every_chunk() -> None:
    output, seen = StepOutput(), Seen()
    output.append_text(CONTENT, "a")
    output.append_text(CONTENT, "b")
    task = asyncio.create_task(output.follow(CONTENT, seen))
    await asyncio.sleep(0)
    output.append_text(CONTENT, "c")
    assert seen.got == ["ab", "c"]
    output.end()
    await settled(task)

    assert output.document() == {"choices": [{"content": "abc"}]}


async def test_a_follower_may_come_before_the_first_chunk() -> None:
    output, seen = StepOutput(), Seen()
    task = asyncio.create_task(output.follow(("rows",), seen))
    await asyncio.sleep(0)
    output.append_item(("rows",), 1)
    await asyncio.sleep(0)
    output.append_item(("rows",), 2)
    output.end()
    await settled(task)

    assert seen.got == [[1], [2]]


async def test_a_reader_of_a_set_field_does_not_wait_for_the_step() -> None:
    output = StepOutput()
    task = asyncio.create_task(output.read(("code",)))
    await asyncio.sleep(0)
    output.set(("code",), 200)

    assert await settled(task) == 200
    assert not output.ended


async def test_a_reader_of_a_stream_waits_for_its_end() -> None:
    output = StepOutput()
    task = asyncio.create_task(output.read(CONTENT))
    output.append_text(CONTENT, "a")
    await asyncio.sleep(0)
    assert not task.done()
    output.append_text(CONTENT, "b")
    output.end()

    assert await settled(task) == "ab"


async def test_an_alias_is_read_followed_and_recorded_like_its_target() -> None:
    output, seen = StepOutput({("text",): CONTENT}), Seen()
    follower = asyncio.create_task(output.follow(("text",), seen))
    reader = asyncio.create_task(output.read(("text",)))
    await asyncio.sleep(0)
    output.append_text(CONTENT, "hi")
    output.end()
    await settled(follower)

    assert await settled(reader) == "hi"
    assert seen.got == ["hi"]
    assert output.document() == {"choices": [{"content": "hi"}], "text": "hi"}


async def test_after_a_tolerated_failure_readers_get_null_and_followers_keep_what_they_got() -> None:
    output, seen = StepOutput(), Seen()
    output.append_text(("text",), "half")
    follower = asyncio.create_task(output.follow(("text",), seen))
    reader = asyncio.create_task(output.read(("text",)))
    await asyncio.sleep(0)
    output.end(failed=True)
    await settled(follower)

    assert await settled(reader) is None
    assert seen.got == ["half"]


async def test_following_what_a_step_never_emitted_is_null() -> None:
    output, seen = StepOutput(), Seen()
    output.end()
    await output.follow(("text",), seen)

    assert seen.got == [{"whole": None}]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("a", 0, "b"), 1),
        (("a", -1, "b"), 2),
        (("a", "size"), 2),
        (("a", "last", "b"), 2),
        (("a", 5), None),
        (("a", "b"), None),
        (("text", "size"), 3),
        (("none", "x"), None),
        (("size",), 3),
        ((), {"a": [{"b": 1}, {"b": 2}], "text": "abc", "none": None}),
    ],
)
def test_lookup_follows_paths_as_liquid_does(path: tuple[str | int, ...], found: Any) -> None:
    assert lookup({"a": [{"b": 1}, {"b": 2}], "text": "abc", "none": None}, path) == found


async def test_what_a_receiver_raises_is_its_followers_failure_and_not_the_producers() -> None:
    class Full(Seen):
        def text(self, chunk: str) -> None:
            raise OutputTooLargeError(chunk)

    output, seen = StepOutput(), Seen()
    full = asyncio.create_task(output.follow(("text",), Full()))
    fine = asyncio.create_task(output.follow(("text",), seen))
    await asyncio.sleep(0)
    output.append_text(("text",), "a")
    with pytest.raises(OutputTooLargeError):
        await settled(full)
    output.append_text(("text",), "b")
    output.end()
    await settled(fine)

    assert seen.got == ["a", "b"]
