"""How bodies are read, and where."""

import threading

from llmstack_api.processors.values import LARGE, MAX_OBJECTS, aside, read_body


def test_a_body_of_more_objects_than_are_read_is_no_json() -> None:
    assert read_body(b"[" + b",".join([b"{}"] * (MAX_OBJECTS - 1)) + b"]") == [{}] * (MAX_OBJECTS - 1)
    assert read_body(b"[" + b",".join([b"{}"] * MAX_OBJECTS) + b"]") is None
    assert read_body(b'{"data": ' + b"[" * 2000 + b"]" * 2000 + b"}") is None
    assert read_body(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


async def test_much_is_worked_on_in_a_thread_and_little_at_once() -> None:
    here = threading.get_ident()
    assert await aside(lambda _: threading.get_ident(), "x" * LARGE) == here
    assert await aside(lambda _: threading.get_ident(), b"x" * (LARGE + 1)) != here
