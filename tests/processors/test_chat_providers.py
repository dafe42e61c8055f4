"""Chat processors of single providers, each before a real server of its provider's wire form."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from llmstack_api.egress import parse_egress
from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import Json, JsonObject, Usage
from llmstack_api.engine.processor import Processor
from llmstack_api.errors import (
    AnswerMismatchError,
    ProcessorInputError,
    ProviderBusyError,
    ProviderFailedError,
    ProviderRefusedError,
    StepTimeoutError,
)
from llmstack_api.known_providers import PROVIDERS
from llmstack_api.llm.catalog import open_models
from llmstack_api.outbound import Egress
from llmstack_api.processors.chat_providers import (
    AnthropicMessages,
    CohereChat,
    GoogleChat,
    MetaChat,
    MistralChat,
)
from llmstack_api.processors.openai_chatgpt import AzureChatGPT, AzureConfig, LocalAIChatGPT, azure_address
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.ports import make_ports
from tests.processors.step import Step

SLUGS = ("anthropic", "azure", "cohere", "google", "localai", "meta", "mistral")
KEY = "key-of-the-operator"

Kind = type[Processor[Any, Any]]
Make = Callable[[Kind], Step]

SAYS: dict[Kind, JsonObject] = {
    AnthropicMessages: {"messages": [{"role": "user", "message": "Hello there"}]},
    AzureChatGPT: {"messages": [{"content": "Hello there"}]},
    CohereChat: {"message": "Hello there"},
    GoogleChat: {"messages": [{"type": "text", "text": "Hello there"}]},
    LocalAIChatGPT: {"messages": [{"content": "Hello there"}]},
    MetaChat: {"messages": [{"role": "user", "message": "Hello there"}]},
    MistralChat: {"messages": [{"role": "user", "message": "Hello there"}]},
}
"""What each is told when it is told hello."""

FIELDS: dict[Kind, tuple[str | int, ...]] = {
    AnthropicMessages: ("message",),
    AzureChatGPT: ("choices", 0, "content"),
    CohereChat: ("output_message",),
    GoogleChat: ("content",),
    LocalAIChatGPT: ("choices", 0, "content"),
    MetaChat: ("result",),
    MistralChat: ("result",),
}
"""Where the answer of each streams."""

REGISTRY = {f"{kind.provider_slug}/{kind.slug}": kind for kind in SAYS}
each = pytest.mark.parametrize("kind", SAYS, ids=REGISTRY)


def asking(kind: Kind, model: str, **more: Any) -> JsonObject:
    """A config that names a model."""
    return {"deployment_name" if kind is AzureChatGPT else "model": model, **more}


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@pytest.fixture
async def make(model: FakeModel) -> AsyncGenerator[Make]:
    given: dict[str, Any] = {f"{provider}_base_url": model.base_url for provider in SLUGS}
    given |= {f"{provider}_api_key": SecretStr(KEY) for provider in SLUGS}
    async with open_models(Settings.load(**given, _env_file=None), Egress()) as models:
        yield lambda kind: Step(kind, make_ports(chat=models.of({})), model)


@each
async def test_an_answer_streams_at_its_field_and_its_usage_is_told(make: Make, kind: Kind) -> None:
    step = make(kind)
    output = await step.run(asking(kind, "count:40"), **SAYS[kind])
    assert {path for path, _ in step.chunks} == {FIELDS[kind]}
    assert "".join(text for _, text in step.chunks) == "".join(f"word{number} " for number in range(40))
    assert output["finish_reason"] == "stop"
    [usage] = step.usages
    assert usage.output_tokens == 40


@each
async def test_each_is_called_with_its_own_key(make: Make, model: FakeModel, kind: Kind) -> None:
    await make(kind).run(asking(kind, "echo"), **SAYS[kind])
    assert KEY in " ".join(model.last.headers.values())
    path = "/messages" if kind is AnthropicMessages else "/chat/completions"
    assert model.last.path.endswith(path)


@each
async def test_a_turn_is_remembered_and_sent_again(make: Make, kind: Kind) -> None:
    step = make(kind)
    retain = {"retain_history": True}
    await step.run(asking(kind, "echo", **retain), **SAYS[kind])
    assert step.memory.learned == [
        {"role": "user", "content": "Hello there"},
        {"role": "assistant", "content": "Hello there"},
    ]
    step.next_turn()
    await step.run(asking(kind, "echo", chat_history_limit=1, **retain), **SAYS[kind])
    roles = [message["role"] for message in step.sent["messages"] if message["role"] != "system"]
    assert roles[-2:] == ["assistant", "user"]


@each
async def test_nothing_is_remembered_where_it_is_not_to_be(make: Make, kind: Kind) -> None:
    step = make(kind)
    await step.run(asking(kind, "echo", retain_history=False), **SAYS[kind])
    assert step.memory.learned == []


@each
async def test_an_answer_may_follow_a_schema(make: Make, kind: Kind) -> None:
    step = make(kind)
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    output = await step.run(asking(kind, "json", response_schema=schema), **SAYS[kind])
    assert output["parsed"] == {"answer": "Hello there"}
    assert ("parsed", "answer") in {path for path, _ in step.chunks}
    with pytest.raises(AnswerMismatchError, match=r'parsed: "title" is a required property'):
        await make(kind).run(asking(kind, "json", response_schema={"required": ["title"]}), **SAYS[kind])


@each
async def test_what_came_before_a_stream_broke_stays(make: Make, kind: Kind) -> None:
    step = make(kind)
    with pytest.raises(ProviderFailedError):
        await step.run(asking(kind, "drop:3", retain_history=True), **SAYS[kind])
    assert "".join(text for _, text in step.chunks).startswith("word0 word1")
    assert step.memory.learned == []


@each
async def test_a_busy_provider_is_asked_again(make: Make, model: FakeModel, kind: Kind) -> None:
    await make(kind).run(asking(kind, "status:429:retry-after=0:times=2"), **SAYS[kind])
    assert len(model.requests) == 3
    with pytest.raises(ProviderBusyError):
        await make(kind).run(asking(kind, "status:429:retry-after=0"), **SAYS[kind])


@each
async def test_a_wrong_key_is_told_and_not_shown(make: Make, kind: Kind) -> None:
    with pytest.raises(ProviderRefusedError, match="401") as caught:
        await make(kind).run(asking(kind, "status:401"), **SAYS[kind])
    assert KEY not in str(caught.value)


@each
async def test_a_call_that_hangs_ends_at_its_timeout(make: Make, model: FakeModel, kind: Kind) -> None:
    with pytest.raises(StepTimeoutError, match=r"config\.timeout"):
        await make(kind).run(asking(kind, "hang", timeout=0.2), **SAYS[kind])
    await model.until_aborted()
    assert model.open_calls == 0


@each
async def test_there_must_be_something_to_answer(make: Make, model: FakeModel, kind: Kind) -> None:
    field = "message" if kind is CohereChat else "messages"
    empty: dict[str, Json] = {"message": " "} if kind is CohereChat else {"messages": []}
    with pytest.raises(ProcessorInputError, match=rf"input\.{field}"):
        await make(kind).run(asking(kind, "echo"), **empty)
    assert model.requests == []


@each
def test_schemas_describe_every_field(kind: Kind) -> None:
    for side in (kind.Input, kind.Config, kind.Output):
        schema = side.model_json_schema()
        for part in (schema, *schema.get("$defs", {}).values()):
            assert all(field.get("description") for field in part.get("properties", {}).values())


# --- what each sends -----------------------------------------------------------------------------------------


async def test_anthropic_is_sent_its_defaults_and_upstreams_names_of_models(make: Make) -> None:
    step = make(AnthropicMessages)
    await step.run({"system_prompt": "Be kind.", "model": "claude-3-opus"}, **SAYS[AnthropicMessages])
    assert step.sent["model"] == "claude-3-opus-latest"
    assert (step.sent["max_tokens"], step.sent["temperature"]) == (256, 0.5)
    assert step.sent["system"] == "Be kind."
    await step.run(**SAYS[AnthropicMessages])
    assert step.sent["model"] == PROVIDERS["anthropic"].chat
    assert "system" not in step.sent


async def test_mistral_is_sent_what_is_set(make: Make) -> None:
    step = make(MistralChat)
    await step.run(**SAYS[MistralChat])
    assert {name: step.sent[name] for name in step.sent if name != "messages"} == {
        "model": PROVIDERS["mistral"].chat,
        "max_tokens": 256,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    await step.run(
        {"system_prompt": "S", "safe_prompt": False, "seed": 7, "model": "mistral-large-latest "},
        messages=[
            {"role": "system", "message": "Now"},
            {"message": 5},
            {"role": "assistant", "message": ""},
        ],
    )
    assert step.sent["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "system", "content": "Now"},
        {"role": "user", "content": "5"},
    ]
    assert (step.sent["safe_prompt"], step.sent["random_seed"]) == (False, 7)
    assert step.sent["model"] == "mistral-large-latest"


async def test_meta_is_sent_what_is_set(make: Make) -> None:
    step = make(MetaChat)
    await step.run({"stop": ["<|eot_id|>"], "repetition_penalty": 1, "seed": 1}, **SAYS[MetaChat])
    assert step.sent["model"] == PROVIDERS["meta"].chat
    assert step.sent["messages"][0] == {"role": "system", "content": "You are a helpful assistant."}
    assert (step.sent["top_p"], step.sent["stop"]) == (0.9, ["<|eot_id|>"])
    assert (step.sent["repetition_penalty"], step.sent["seed"]) == (1, 1)


async def test_cohere_is_sent_what_is_set(make: Make) -> None:
    step = make(CohereChat)
    await step.run({"system_message": "S ", "seed": 3, "max_tokens": 9}, message="Hello there")
    assert step.sent["messages"] == [
        {"role": "system", "content": "S "},
        {"role": "user", "content": "Hello there"},
    ]
    assert (step.sent["model"], step.sent["max_tokens"], step.sent["seed"]) == (
        PROVIDERS["cohere"].chat,
        9,
        3,
    )


async def test_google_is_shown_images_and_gives_calls_in_upstreams_shape(make: Make) -> None:
    step = make(GoogleChat)
    output = await step.run(
        {"model": "tools", "generation_config": {"max_output_tokens": 5, "temperature": 0}},
        system_message="S",
        messages=[
            {"type": "text", "text": "Hello there"},
            {"type": "image_url", "image_url": "data:image/png;name=x.png;base64,aGk="},
        ],
        functions=[{"name": "look_up", "parameters": '{"type": "object"}'}, {"name": ""}],
    )
    assert step.sent["messages"] == [
        {"role": "system", "content": "S"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hello there"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
    ]
    assert (step.sent["max_tokens"], step.sent["temperature"]) == (5, 0)
    assert step.sent["tools"] == [
        {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    ]
    function = {"name": "look_up", "parameters": '{"input":"Hello there"}'}
    assert output["function_calls"] == [{"id": "call_1", "type": "function", "function": function}]
    assert output["content"] == ""


async def test_the_model_of_azure_is_the_deployment(make: Make) -> None:
    step = make(AzureChatGPT)
    await step.run({"deployment_name": "our-gpt", "api_version": "2023-05-15"}, **SAYS[AzureChatGPT])
    assert step.sent["model"] == "our-gpt"
    with pytest.raises(ProcessorInputError, match=r"config\.deployment_name"):
        await step.run(**SAYS[AzureChatGPT])


@pytest.mark.parametrize(
    ("base_url", "version", "address"),
    [
        (None, "2023-05-15", None),
        (" ", "", None),
        ("https://x.openai.azure.com/ ", "", "https://x.openai.azure.com"),
        ("https://x.openai.azure.com/openai/v1", "2023-05-15", "https://x.openai.azure.com/openai/v1"),
        (
            "https://x.openai.azure.com/",
            "2023-05-15",
            "https://x.openai.azure.com/openai/deployments/a%20b?api-version=2023-05-15",
        ),
    ],
)
def test_an_address_of_azure_leads_to_the_deployment_of_its_version(
    base_url: str | None, version: str, address: str | None
) -> None:
    config = AzureConfig.model_validate({"base_url": base_url, "api_version": version})
    assert azure_address(config, "a b") == address


async def test_a_deployment_is_called_at_the_address_of_an_app_without_a_key(model: FakeModel) -> None:
    loopback = parse_egress("127.0.0.1")
    settings = Settings.load(azure_base_url="https://x.openai.azure.com", azure_api_key=KEY, _env_file=None)
    async with open_models(settings, loopback) as models:
        step = Step(AzureChatGPT, make_ports(chat=models.of({})), model)
        address = model.base_url.removesuffix("/v1")
        config = {"base_url": address, "api_version": "2024-06-01", "deployment_name": "our-gpt"}
        await step.run(config, **SAYS[AzureChatGPT])
    assert model.last.path == "/openai/deployments/our-gpt/chat/completions?api-version=2024-06-01"
    assert KEY not in str(model.last.headers)


async def test_the_model_of_localai_has_to_be_named(make: Make) -> None:
    with pytest.raises(ProcessorInputError, match=r"config\.model"):
        await make(LocalAIChatGPT).run(**SAYS[LocalAIChatGPT])


async def test_no_usage_is_no_error(make: Make) -> None:
    step = make(MistralChat)
    await step.run({"model": "no-usage"}, **SAYS[MistralChat])
    assert step.usages == [Usage()]


# --- definitions of upstream's -------------------------------------------------------------------------------

UPSTREAMS: list[tuple[Kind, JsonObject, JsonObject, set[str]]] = [
    (
        AnthropicMessages,
        {"messages": [{"role": "user", "message": "{{_inputs0.q}} "}]},
        {"system_prompt": "", "model": "claude-3-opus", "max_tokens": 256, "temperature": 0.5, "retain_history": False},
        set(),
    ),
    (
        AzureChatGPT,
        {"system_message": "", "chat_history": [], "messages": [{"role": "user", "content": "{{_inputs0.q}} "}]},
        {
            "temperature": 0.7, "top_p": 1, "max_tokens": 1024, "base_url": None, "api_version": "2023-05-15",
            "deployment_name": "gpt-4", "retain_history": True, "auto_prune_chat_history": False, "stream": True,
        },
        set(),
    ),
    (
        CohereChat,
        {"message": "{{_inputs0.q}} "},
        {
            "system_message": None, "temperature": 0.7, "model": "command", "seed": None, "prompt_truncation": "AUTO",
            "max_tokens": 256, "retain_history": False, "enable_web_search": False,
        },
        {"prompt_truncation", "enable_web_search"},
    ),
    (
        GoogleChat,
        {"system_message": "", "messages": [{"type": "text", "text": "{{_inputs0.q}} "}], "functions": None},
        {
            "model": "gemini-1.5-pro", "retain_history": False,
            "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
            "generation_config": {"temperature": 0.5, "max_output_tokens": 2048},
        },
        {"safety_settings"},
    ),
    (
        LocalAIChatGPT,
        {
            "system_message": "", "functions": [],
            "messages": [{"role": "user", "content": "{{_inputs0.q}} ", "name": "", "function_call": {}}],
        },
        {"base_url": "", "model": "ggml-gpt4all-j", "max_tokens": 1024, "temperature": 0.7, "stop": "", "n": 1},
        set(),
    ),
    (
        MetaChat,
        {"messages": [{"role": "user", "message": "{{_inputs0.q}} "}]},
        {
            "system_message": "S", "model": "llama-3-8b", "max_tokens": 256, "temperature": 0.5, "top_k": False,
            "retain_history": False, "seed": None, "top_p": 0.9, "repetition_penalty": 1, "stop": ["<|eot_id|>"],
            "deployment_names": None,
        },
        {"top_k", "deployment_names"},
    ),
    (
        MistralChat,
        {"messages": [{"role": "user", "message": "{{_inputs0.q}} "}]},
        {
            "system_prompt": "", "model": "mistral-small-latest", "max_tokens": 256, "temperature": 0.5,
            "retain_history": False, "safe_prompt": False, "seed": None,
        },
        set(),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "values", "config", "warned"), UPSTREAMS, ids=[case[0].__name__ for case in UPSTREAMS]
)
def test_a_definition_of_upstreams_loads(
    kind: Kind, values: JsonObject, config: JsonObject, warned: set[str]
) -> None:
    field = FIELDS[kind]
    place = "choices[0].content" if field[0] == "choices" else field[0]
    definition: JsonObject = {
        "name": "App",
        "input_fields": [{"name": "q"}],
        "processors": [
            {
                "provider_slug": kind.provider_slug,
                "processor_slug": kind.slug,
                "input": values,
                "config": config,
            }
        ],
        "output_template": {"markdown": f"{{{{_inputs1.{place}}}}} "},
    }
    plan, findings = compile_app(definition, REGISTRY)
    assert plan is not None, findings.faults
    assert {fault.loc for fault in findings.warnings} == {f"processors[0].config.{name}" for name in warned}
