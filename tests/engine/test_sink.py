import asyncio

from llmstack_api.engine.sink import Sink


async def test_chunks_that_are_ready_together_are_taken_as_one_line() -> None:
    sink = Sink(read=True)
    sink.text("answer", "Hel")
    sink.text("answer", "lo")
    sink.items("sources", [1])
    sink.items("sources", [2])
    sink.value("score", {"a": 1})

    assert await sink.take() == {"answer": "Hello", "sources": [1, 2], "score": {"a": 1}}


async def test_what_is_taken_stitches_to_the_output() -> None:
    sink = Sink(read=True)
    sink.text("b", "x")
    first = await sink.take()
    sink.text("b", "y")
    sink.value("a", None)
    second = await sink.take()
    sink.close()

    assert (first, second, await sink.take()) == ({"b": "x"}, {"b": "y", "a": None}, None)
    assert list(sink.output(["a", "b", "c"]).items()) == [("a", None), ("b", "xy")]


async def test_a_waiting_reader_is_woken_by_the_first_chunk() -> None:
    sink = Sink(read=True)
    reader = asyncio.create_task(sink.take())
    await asyncio.sleep(0)
    sink.text("a", "1")

    assert await reader == {"a": "1"}


async def test_a_poke_returns_nothing_and_loses_nothing() -> None:
    sink = Sink(read=True)
    reader = asyncio.create_task(sink.take())
    await asyncio.sleep(0)
    sink.poke()
    assert await reader == {}
    sink.text("a", "1")
    sink.poke()

    assert await sink.take() == {"a": "1"}


async def test_producers_wait_above_the_high_water_mark_until_the_reader_takes() -> None:
    sink = Sink(read=True, high_water=10)
    sink.text("a", "x" * 11)
    producer = asyncio.create_task(sink.room())
    await asyncio.sleep(0)
    assert not producer.done()

    await sink.take()
    async with asyncio.timeout(1):
        await producer


async def test_a_closed_sink_holds_nobody_back() -> None:
    sink = Sink(read=True, high_water=1)
    sink.text("a", "xx")
    producer = asyncio.create_task(sink.room())
    await asyncio.sleep(0)
    sink.close()
    async with asyncio.timeout(1):
        await producer

    assert await sink.take() == {"a": "xx"}
    assert await sink.take() is None


async def test_a_sink_without_a_reader_only_stitches() -> None:
    sink = Sink(read=False, high_water=1)
    sink.text("a", "many")
    sink.text("a", " words")

    assert not sink.full
    assert sink.output(["a"]) == {"a": "many words"}


async def test_an_empty_string_and_an_empty_array_are_chunks_too() -> None:
    sink = Sink(read=True)
    sink.text("a", "")
    sink.value("b", [])

    assert await sink.take() == {"a": "", "b": []}
