import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from llmstack_api.settings import Settings
from tests.fake_model import fake_model_server
from tests.runs.streams import chat, make_app
from tests.server import RunningServer, running_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

SCREENSHOTS = Path(__file__).parent / "screenshots"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
WAIT_MS = 20_000
RUN = "#operations-Runs-run_app"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> [x](javascript:alert(3)) "

expect.set_options(timeout=WAIT_MS)


Visiting = Callable[..., AbstractAsyncContextManager[Page]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "install Debian's package 'chromium'"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def server(sqlite_settings: Settings) -> AsyncGenerator[RunningServer]:
    async with fake_model_server() as model:
        settings = sqlite_settings.model_copy(
            update={"openai_base_url": model.base_url, "step_timeout": 90.0, "run_timeout": 90.0}
        )
        async with running_server(settings) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def visiting(browser: Browser, server: RunningServer) -> AsyncGenerator[Visiting]:
    """Open the explorer; nothing may leave the server, nothing may be said in the console."""

    @asynccontextmanager
    async def visit(scheme: Literal["light", "dark"] = "light") -> AsyncGenerator[Page]:
        complaints: list[str] = []
        context = await browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme=scheme)
        try:
            page = await context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("request", lambda request: complaints.extend(_foreign(request.url, server.url)))
            page.on("console", lambda entry: complaints.append(f"{entry.type}: {entry.text}"))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
            await page.goto(f"{server.url}/docs")
            await page.locator(RUN).wait_for()
            yield page
            assert complaints == []
        finally:
            await context.close()

    yield visit


def _foreign(url: str, origin: str) -> list[str]:
    return [] if url.startswith((f"{origin}/", "data:", "blob:")) else [f"request to {url}"]


async def authorize(page: Page, token: str) -> None:
    await page.locator(".auth-wrapper .authorize").click()
    dialog = page.locator(".modal-ux")
    await expect(dialog.locator("input")).to_have_count(1)
    await dialog.locator("input").fill(token)
    await dialog.locator("button.authorize").click()
    await dialog.locator(".btn-done").click()


async def open_run(page: Page, app: str) -> Locator:
    """Open the run operation and fill in the app."""
    operation = page.locator(RUN)
    await operation.locator(".opblock-summary-control").click()
    await operation.locator(".try-out__btn").click()
    await operation.locator("input[placeholder=app_uuid]").fill(app.rpartition("/")[2])
    return operation


async def screenshot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png")


async def chunks(panel: Locator) -> int:
    return int(await panel.get_attribute("data-chunks") or 0)


async def grown(panel: Locator, before: int) -> int:
    """Wait until the panel has counted more chunks."""
    async with asyncio.timeout(WAIT_MS / 1000):
        while (now := await chunks(panel)) <= before:
            await asyncio.sleep(0.02)
    return now


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_streamed_run_is_seen_growing(
    server: RunningServer, client: httpx.AsyncClient, visiting: Visiting, scheme: str
) -> None:
    app = await make_app(client, chat("slow:8:count=64"))
    async with visiting(scheme) as page:
        await screenshot(page, f"{scheme}-start")
        await authorize(page, await server.token())
        operation = await open_run(page, app)
        await operation.locator(".execute").click()
        panel = operation.locator(".live-run")
        answer = panel.locator("[data-key=answer]")
        first = await grown(panel, 0)
        early = await answer.inner_text()
        second = await grown(panel, first)
        assert len(await answer.inner_text()) > len(early)
        assert await grown(panel, second) < 64
        await expect(panel).to_have_attribute("data-state", "running")
        await expect(operation.locator(".live-responses-table")).to_have_count(0)
        await panel.scroll_into_view_if_needed()
        await screenshot(page, f"{scheme}-running")
        await expect(panel).to_have_attribute("data-state", "succeeded")
        await expect(answer).to_have_text("".join(f"word{number} " for number in range(64)))
        shown = operation.locator(".live-responses-table .response-col_description pre").first
        await expect(shown).to_contain_text('"done"')
        await expect(shown).not_to_contain_text("parse")
        await screenshot(page, f"{scheme}-done")


async def test_stop_cancels_the_run(
    server: RunningServer, client: httpx.AsyncClient, visiting: Visiting
) -> None:
    app = await make_app(client, chat("slow:5:count=200"))
    async with visiting() as page:
        await authorize(page, await server.token())
        operation = await open_run(page, app)
        panel = operation.locator(".live-run")
        for _ in range(2):
            await operation.locator(".execute").click()
            await expect(panel).to_have_attribute("data-state", "running")
            await grown(panel, 1)
            await panel.get_by_role("button", name="Stop").click()
            await expect(panel).to_have_attribute("data-state", "stopped")
            await expect(operation.locator(".live-responses-table")).to_contain_text("word1")
        await screenshot(page, "stopped")
    async with asyncio.timeout(WAIT_MS / 1000):
        while {run["status"] for run in (await client.get("/api/runs")).json()} != {"cancelled"}:
            await asyncio.sleep(0.05)
    assert len((await client.get("/api/runs")).json()) == 2


async def test_server_sent_events_are_shown_as_they_come_too(
    server: RunningServer, client: httpx.AsyncClient, visiting: Visiting
) -> None:
    app = await make_app(client, chat("slow:8:count=40"))
    async with visiting() as page:
        await authorize(page, await server.token())
        operation = await open_run(page, app)
        media_type = operation.locator(".response-control-media-type select").first
        await media_type.select_option("text/event-stream")
        await operation.locator(".execute").click()
        panel = operation.locator(".live-run")
        await grown(panel, await grown(panel, 0))
        await expect(panel).to_have_attribute("data-state", "running")
        await expect(panel).to_have_attribute("data-state", "succeeded")
        await expect(operation.locator(".live-responses-table")).to_contain_text("event: done")


async def test_what_a_model_wrote_is_only_ever_text(
    server: RunningServer, client: httpx.AsyncClient, visiting: Visiting
) -> None:
    app = await make_app(
        client, {**chat("echo"), "output": {HOSTILE: "{{_inputs1.text}}{{_inputs0.question}}"}}
    )
    async with visiting() as page:
        await authorize(page, await server.token())
        operation = await open_run(page, app)
        body = f'{{"input": {{"question": "{HOSTILE}"}}, "stream": true}}'
        await operation.locator("textarea.body-param__text").fill(body)
        await operation.locator(".execute").click()
        panel = operation.locator(".live-run")
        await expect(panel).to_have_attribute("data-state", "succeeded")
        await expect(panel.locator("dd")).to_contain_text(HOSTILE.strip())
        await expect(panel.locator("dt")).to_contain_text(HOSTILE.strip())
        await expect(panel.locator("img, script, a")).to_have_count(0)


async def test_a_run_that_fails_midway_shows_what_came_and_why(
    server: RunningServer, client: httpx.AsyncClient, visiting: Visiting
) -> None:
    app = await make_app(client, chat("drop:3"))
    async with visiting() as page:
        await authorize(page, await server.token())
        operation = await open_run(page, app)
        await operation.locator(".execute").click()
        panel = operation.locator(".live-run")
        await expect(panel).to_have_attribute("data-state", "failed")
        await expect(panel.locator("dd")).to_contain_text("word2")
        await expect(panel.locator(".live-run__error")).to_contain_text("provider-failed")
        await panel.scroll_into_view_if_needed()
        await screenshot(page, "failed")


async def test_a_blocking_run_and_a_reload_need_nothing_new(
    server: RunningServer, client: httpx.AsyncClient, visiting: Visiting
) -> None:
    app = await make_app(client, chat("echo"))
    async with visiting() as page:
        await authorize(page, await server.token())
        await page.reload()
        operation = await open_run(page, app)
        await operation.locator(".examples-select select").first.select_option("blocking")
        await operation.locator(".execute").click()
        answer = operation.locator(".live-responses-table")
        await expect(answer).to_contain_text('"succeeded"')
        await expect(answer).to_contain_text("Say hello.")
        await expect(operation.locator(".live-run")).to_have_count(0)


async def test_the_run_operation_shows_code_and_folded_problems(
    server: RunningServer, visiting: Visiting
) -> None:
    async with visiting() as page:
        operation = page.locator(RUN)
        await operation.locator(".opblock-summary-control").click()
        samples = operation.locator(".code-samples")
        await samples.locator("summary").click()
        await expect(samples).to_contain_text(f"curl -N {server.url}/api/apps/$APP/run")
        await samples.get_by_role("button", name="Python").click()
        await expect(samples).to_contain_text("import requests")
        await samples.scroll_into_view_if_needed()
        await screenshot(page, "code")
        await operation.locator(".folded-problem", has_text="No valid token.").click()
        await expect(operation.locator(".responses-table")).to_contain_text("/docs/problems#unauthorized")


async def test_the_page_of_problems_shows_the_one_in_the_address(
    server: RunningServer, visiting: Visiting
) -> None:
    async with visiting() as page:
        await page.goto(f"{server.url}/docs/problems#run-timeout")
        await expect(page.locator(".problem:target")).to_contain_text("LLMSTACK_RUN_TIMEOUT")
        await expect(page.locator(".problem:target")).to_be_in_viewport()
        await screenshot(page, "problems")
