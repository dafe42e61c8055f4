"""The process that reads files: its limits, its end, its turns; hostile files fail and the next one is read."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from llmstack_api.errors import ExtractError, UnavailableError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.extract import Extractor, open_extractor
from tests.ingest import making

FILES = Path(__file__).parent / "files"
SLIDES = (FILES / "pandoc_slides.pptx").read_bytes()
GIB = 1 << 30


async def read(extractor: Extractor, data: bytes, name: str | None = None) -> Document:
    return await extractor.extract(data, file_name=name, media_type=None)


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if reads(child)]


def reads(process: psutil.Process) -> bool:
    try:
        return "llmstack_api.ingest.reading.extraction" in process.cmdline()
    except psutil.NoSuchProcess:  # also where it has ended and nobody has asked yet how
        return False


def ended(child: psutil.Process) -> bool:
    try:
        return child.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def deep_html() -> bytes:
    return b"<html><body>" + b"<div>" * 100_000 + b"deep" + b"</div>" * 100_000


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a PDF that draws a gigabyte": (making.pdf_bomb, "out-of-memory"),
    "a document that inflates to 400 MB": (making.docx_bomb, "too-large"),
    "a document that declares ten bytes": (making.docx_that_lies, "corrupt"),
    "entities in a document": (
        lambda: making.docx(making.paragraph("&a9;"), prologue=making.ENTITY_BOMB),
        "corrupt",
    ),
    "entities in an attribute of XML": (
        lambda: b"<?xml version='1.0'?>" + making.ENTITY_BOMB.encode() + b"<x y='&a9;'>text</x>",
        "corrupt",
    ),
    "HTML nested 100,000 times": (deep_html, "corrupt"),
    "RTF nested 100,000 times": (lambda: b"{\\rtf1 " + b"{" * 100_000 + b"deep" + b"}" * 100_001, "corrupt"),
    "XML nested 1,000 times": (lambda: making.docx("<w:sdt>" * 1000 + "</w:sdt>" * 1000), "corrupt"),
    "JSON nested 300,000 times": (lambda: b"[" * 300_000 + b"]" * 300_000, "corrupt"),
    "a table that grows tenfold": (lambda: b"a rather long name,b\n" + b"1,2\n" * 4_000_000, "too-large"),
    "text over the limit": (lambda: b"x" * 20_000_001, "too-large"),
    "noise": (lambda: bytes(range(1, 256)) * 2000, "unsupported-type"),
    "an archive that ends early": (lambda: SLIDES[:9000], "corrupt"),
    "an archive of 10,001 members": (
        lambda: making.zipped({f"word/{number}": "" for number in range(10_001)}),
        "too-large",
    ),
}
NAMES = {"JSON nested 300,000 times": "a.json", "a table that grows tenfold": "a.csv"}


async def test_hostile_files_fail_with_their_code_and_the_next_file_is_read() -> None:
    me = psutil.Process()
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        await read(extractor, SLIDES)
        for what, (make, code) in HOSTILE.items():
            data = await asyncio.to_thread(make)
            before = me.memory_info().rss
            with pytest.raises(ExtractError) as caught:
                await read(extractor, data, NAMES.get(what))
            assert caught.value.code == code, what
            assert me.memory_info().rss - before < 100 << 20, what
            assert "Rotterdam" in (await read(extractor, SLIDES)).text, what


async def test_a_file_that_cannot_be_read_is_let_go_at_once() -> None:
    data = bytes(range(1, 256)) * 2000
    held = sys.getrefcount(data)
    gc.disable()  # which would find it sooner or later
    try:
        async with open_extractor(timeout=20, memory=GIB) as extractor:
            with suppress(ExtractError):
                await extractor.extract(data, file_name="noise.bin", media_type=None)
            assert sys.getrefcount(data) == held
    finally:
        gc.enable()


async def test_entities_in_the_text_of_xml_stay_as_they_are_written() -> None:
    data = b"<?xml version='1.0'?>" + making.ENTITY_BOMB.encode() + b"<x>before &a9; after</x>"
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        assert (await read(extractor, data)).text == "before &a9; after"


async def test_a_file_that_takes_too_long_is_given_up_in_time() -> None:
    data = b"name,number\n" + b"1,2\n" * 5_000_000
    asyncio.get_running_loop()
    async with open_extractor(timeout=0.5, memory=GIB) as extractor:
        await read(extractor, SLIDES)
        with pytest.raises(ExtractError) as caught:
            await read(extractor, data, "a.csv")
        assert caught.value.code == "timeout"
        await until(lambda: not children())


async def test_a_process_that_hangs_is_killed_with_all_it_started() -> None:
    async with open_extractor(timeout=0.5, memory=GIB) as extractor:
        await read(extractor, SLIDES)
        [child] = children()
        child.suspend()
        with pytest.raises(ExtractError) as caught:
            await read(extractor, SLIDES)
        assert caught.value.code == "timeout"
        await until(lambda: ended(child))
        assert "Rotterdam" in (await read(extractor, SLIDES)).text


async def test_a_process_that_died_while_idle_is_replaced() -> None:
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        await read(extractor, SLIDES)
        [child] = children()
        child.kill()
        await until(lambda: ended(child))
        assert "Rotterdam" in (await read(extractor, SLIDES)).text


async def test_a_cancelled_call_ends_at_once_and_takes_its_process_along() -> None:
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        await read(extractor, SLIDES)
        [child] = children()
        child.suspend()
        running = asyncio.create_task(read(extractor, SLIDES))
        waiting = asyncio.create_task(read(extractor, SLIDES))
        next_one = asyncio.create_task(read(extractor, SLIDES))
        await until(lambda: extractor.waiting == 2)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=1)
        assert waiting.cancelled()
        assert child.is_running()
        running.cancel()
        await asyncio.wait({running}, timeout=1)
        assert running.cancelled()
        assert "Rotterdam" in (await next_one).text
        await until(lambda: ended(child))


async def test_waiting_for_a_turn_is_not_counted() -> None:
    data = b"name,number\n" + b"1,2\n" * 100_000
    async with open_extractor(timeout=15, memory=GIB) as extractor:
        order: list[int] = []

        async def one(number: int) -> None:
            await read(extractor, data, "a.csv")
            order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(one(number))
        assert order == [0, 1, 2, 3]
        assert len(children()) == 1


async def test_no_process_is_started_before_it_is_needed_and_an_idle_one_is_let_go() -> None:
    async with open_extractor(timeout=20, memory=GIB, idle=0.2) as extractor:
        assert (await read(extractor, b"plain text", "a.txt")).text == "plain text"
        assert not children()
        await read(extractor, SLIDES)
        assert len(children()) == 1
        await until(lambda: not children())
        assert "Rotterdam" in (await read(extractor, SLIDES)).text
    assert not children()


async def test_as_many_files_are_read_at_once_as_there_may_be_processes() -> None:
    async with open_extractor(timeout=20, memory=GIB, processes=2) as extractor:
        await asyncio.gather(*(read(extractor, SLIDES) for _ in range(4)))
        assert len(children()) == 2


async def test_the_process_knows_no_secrets_and_may_write_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSTACK_SECRET_KEY", "hidden")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        await read(extractor, SLIDES)
        [child] = children()
        assert "hidden" not in child.environ().values()
        assert child.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)


async def test_what_reading_needs_is_imported_only_where_it_is_needed() -> None:
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        await read(extractor, SLIDES)
        [child] = children()
        libraries = {Path(mapped.path).name for mapped in child.memory_maps()}
        assert not any("_internal_bindings" in name or "pydantic" in name for name in libraries)
        assert child.memory_info().rss < 48 << 20


async def test_little_memory_is_enough_for_ordinary_files() -> None:
    async with open_extractor(timeout=20, memory=128 << 20) as extractor:
        for name in (
            "libreoffice_notes.pdf",
            "openpyxl_products.xlsx",
            "pydocx_manual.docx",
            "reportlab_report.pdf",
        ):
            assert (await read(extractor, (FILES / name).read_bytes())).text


async def test_a_process_reads_200_files_and_is_replaced() -> None:
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        data = making.docx(making.paragraph("again"))
        pids: list[int] = []
        for _ in range(201):
            assert (await read(extractor, data)).text == "again"
            pids += [child.pid for child in children() if child.pid not in pids] if not pids else []
        [child] = children()
        assert child.pid not in pids


async def test_a_closed_extractor_says_that_the_server_is_stopping() -> None:
    async with open_extractor(timeout=20, memory=GIB) as extractor:
        await read(extractor, SLIDES)
    assert not children()
    with pytest.raises(UnavailableError):
        await read(extractor, SLIDES)


async def test_the_process_dies_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        "from llmstack_api.ingest.reading.child import Child\n"
        "async def main():\n"
        "    child = await Child.start()\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
