"""Operations that answer in one piece, and the check of a provider."""

from dataclasses import replace

import pytest

from llmstack_api.engine.ports import File, ModelCall
from llmstack_api.errors import (
    AddressRefusedError,
    ProcessorInputError,
    ProviderBusyError,
    ProviderFailedError,
    ProviderTimeoutError,
)
from llmstack_api.llm import checking, media
from llmstack_api.llm.catalog import AccountModels, Models, ProviderSettings, open_models
from llmstack_api.outbound import Egress
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, Upload
from tests.fake_model.media import MODELS
from tests.llm.conversation import KEY

SPEECH = ModelCall(
    provider="openai",
    path="/audio/speech",
    fields={"model": "m", "input": "Hi", "voice": "v", "response_format": "opus"},
)
SOUND = File(b"\x00\r\n--la", 'a "b".mp3', "audio/mpeg")
TRANSCRIPTION = ModelCall(
    provider="openai",
    path="/audio/transcriptions",
    fields={"model": "m", "temperature": 0.5, "stream": False, "prompt": None},
    files={"file": SOUND},
)


async def test_an_answer_comes_whole_with_its_type(chat: AccountModels, model: FakeModel) -> None:
    answer = await chat.call(SPEECH)
    assert answer == File(b"ID3 v 1 Hi", media_type="audio/opus")
    assert model.last.body == SPEECH.fields
    assert model.last.headers["authorization"] == f"Bearer {KEY}"


async def test_files_are_sent_as_a_form(chat: AccountModels, model: FakeModel) -> None:
    await chat.call(TRANSCRIPTION)
    assert model.last.body == {"model": "m", "temperature": "0.5", "stream": "false"}
    assert model.last.files == {"file": Upload("a %22b%22.mp3", "audio/mpeg", SOUND.data)}


async def test_a_large_form_is_sent_again_whole(chat: AccountModels, model: FakeModel) -> None:
    large = File(b"x" * 3_000_000, "a.wav", "audio/wav")
    fields = {"model": "drop-before:times=1"}
    await chat.call(replace(TRANSCRIPTION, fields=fields, files={"file": large}))
    assert [len(call.files["file"].data) for call in model.requests] == [3_000_000] * 2


async def test_files_have_a_bound(
    chat: AccountModels, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "MAX_FILES", 5)
    with pytest.raises(ProcessorInputError, match="7 bytes"):
        await chat.call(TRANSCRIPTION)
    assert model.accepted == 0


async def test_an_answer_has_a_bound(chat: AccountModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_ANSWER", 1000)
    with pytest.raises(ProviderFailedError, match="too large"):
        await chat.call(replace(SPEECH, fields=SPEECH.fields | {"model": "bytes:1001"}))
    assert (
        len((await chat.call(replace(SPEECH, fields=SPEECH.fields | {"model": "bytes:1000"}))).data) == 1000
    )


@pytest.mark.parametrize(
    ("name", "kind", "calls"),
    [
        ("status:429:retry-after=0", ProviderBusyError, 3),
        ("status:503:retry-after=0", ProviderFailedError, 3),
        ("drop", ProviderFailedError, 1),
        ("gzip", ProviderFailedError, 1),
        ("hang-mid", ProviderTimeoutError, 1),
    ],
)
async def test_faults_are_those_of_chat(
    chat: AccountModels, model: FakeModel, name: str, kind: type[Exception], calls: int
) -> None:
    with pytest.raises(kind):
        await chat.call(replace(SPEECH, fields=SPEECH.fields | {"model": name}))
    assert len(model.requests) == calls
    await model.until(lambda: model.open_calls == 0)


async def test_an_apps_own_address_is_guarded_and_gets_no_key(
    chat: AccountModels, settings: Settings, model: FakeModel
) -> None:
    call = replace(SPEECH, base_url=model.base_url)
    async with open_models(settings, Egress()) as models:
        with pytest.raises(AddressRefusedError):
            await models.of({}).call(call)
    await chat.call(call)
    assert "authorization" not in model.last.headers
    assert len(model.requests) == 1


# --- the check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_provider_that_answers_lists_its_models(
    models: Models, model: FakeModel, provider: str
) -> None:
    model.script(f"key:{KEY}")
    result = await models.check(provider)
    assert result.ok
    assert result.models == MODELS
    assert result.detail == f"The provider {provider!r} answers."
    assert ("anthropic-version" in model.last.headers) == (provider == "anthropic")


async def test_of_many_models_the_first_hundred_are_told(models: Models, model: FakeModel) -> None:
    model.script("models:150")
    assert len((await models.check("openai")).models) == 100


async def test_a_wrong_key_is_told_without_it(models: Models, model: FakeModel) -> None:
    model.script("key:another")
    result = await models.check("openai")
    assert (result.ok, result.verdict, result.models) == (False, "refused", ())
    assert "401" in result.detail
    assert KEY not in result.detail


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("status:404", "unlisted"),
        ("no-list", "unlisted"),
        ("html", "unlisted"),
        ("status:500", "away"),
        ("status:429", "away"),
    ],
)
async def test_a_check_asks_once_and_says_what_came(
    models: Models, model: FakeModel, name: str, verdict: str
) -> None:
    model.script(name)
    result = await models.check("openai")
    assert result.verdict == verdict
    assert result.ok == (verdict == "unlisted")
    assert len(model.requests) == 1


async def test_a_provider_that_hangs_is_given_up(
    models: Models, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PATIENCE", 0.1)
    model.script("hang-headers")
    result = await models.check("openai")
    assert result.verdict == "away"
    await model.until(lambda: model.open_calls == 0)


async def test_an_accounts_own_provider_is_checked_through_the_guard(
    settings: Settings, models: Models, model: FakeModel
) -> None:
    own = ProviderSettings(base_url=model.base_url, api_key="sk-own-key-of-the-account", headers={"X-A": "b"})
    assert (await models.check("openai", own)).ok
    assert model.last.headers["authorization"] == "Bearer sk-own-key-of-the-account"
    assert model.last.headers["x-a"] == "b"
    async with open_models(settings, Egress()) as guarded:
        result = await guarded.check("openai", own)
    assert (result.ok, result.verdict) == (False, "unconfigured")
    assert len(model.requests) == 1


async def test_a_provider_that_nobody_configured_is_told(models: Models) -> None:
    result = await models.check("azure")
    assert (result.ok, result.verdict) == (False, "unconfigured")
    assert "LLMSTACK_AZURE_BASE_URL" in result.detail
