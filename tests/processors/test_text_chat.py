"""`promptly/text_chat` before a real model server, over passages that the tests give."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import ValidationError

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import ProcessorInputError, ProviderRefusedError, RetrievalAwayError
from llmstack_api.llm.catalog import open_models
from llmstack_api.outbound import Egress
from llmstack_api.processors.text_chat import (
    BUDGET,
    CITATION_INSTRUCTIONS,
    INSTRUCTIONS,
    NO_PASSAGES,
    SYSTEM,
    TextChat,
    TextChatConfig,
)
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.ports import make_ports
from tests.processors.passages import Shelf, passage
from tests.processors.step import Step

LENDING = passage("A tool is lent for seven days.", "lending.md", 1.5)
LATE = passage("Each day after the last one costs two euros.", "late.md", 0.6)
QUESTION = "How long may I keep it?"
ONE: JsonObject = {"datasource": ["first"]}


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@pytest.fixture
def shelf() -> Shelf:
    return Shelf([LENDING, LATE])


@pytest.fixture
async def step(model: FakeModel, shelf: Shelf) -> AsyncGenerator[Step]:
    settings = Settings.load(openai_base_url=model.base_url, openai_api_key="sk-x", _env_file=None)
    async with open_models(settings, Egress()) as models:
        yield Step(TextChat, make_ports(chat=models.of({}), retriever=shelf), model)


async def test_the_model_is_shown_instructions_numbered_passages_and_the_question(step: Step) -> None:
    output = await step.run(ONE, question=f" {QUESTION}\n")
    assert step.sent["messages"] == [
        {"role": "system", "content": SYSTEM},
        {
            "role": "user",
            "content": f"{INSTRUCTIONS}\n\nPassages:\n\n"
            "[1] Source: lending.md\nA tool is lent for seven days.\n\n"
            "[2] Source: late.md\nEach day after the last one costs two euros.\n\n"
            f"Question: {QUESTION}",
        },
    ]
    assert (step.sent["model"], step.sent["temperature"]) == ("gpt-4o-mini", 0.7)
    assert not step.sent.keys() & {"max_tokens", "seed"}
    assert output["answer"].endswith(f"Question: {QUESTION}")  # the fake model echoes
    assert step.usages


async def test_citations_are_the_passages_shown_and_come_before_the_answer(step: Step) -> None:
    output = await step.run(ONE, question=QUESTION)
    assert output["citations"] == [
        {"text": LENDING.content, "source": "lending.md", "score": 1.5},
        {"text": LATE.content, "source": "late.md", "score": 0.6},
    ]
    assert len(step.chunks) > 1
    assert {path for path, _ in step.chunks} == {("answer",)}


async def test_the_model_is_told_to_cite_only_where_that_is_asked(step: Step) -> None:
    await step.run(ONE, question=QUESTION)
    assert CITATION_INSTRUCTIONS not in step.sent["messages"][-1]["content"]
    await step.run({**ONE, "show_citations": True}, question=QUESTION)
    assert CITATION_INSTRUCTIONS in step.sent["messages"][-1]["content"]
    await step.run({**ONE, "show_citations": True, "citation_instructions": "Name pages."}, question=QUESTION)
    assert "Name pages." in step.sent["messages"][-1]["content"]


async def test_what_the_app_sets_is_sent(step: Step) -> None:
    config = {
        "model": "own",
        "system_message_prefix": "You are a pirate.",
        "instructions": "Rhyme.",
        "temperature": 0,
        "max_tokens": 50,
        "seed": 3,
    }
    await step.run({**ONE, **config}, question=QUESTION)
    assert step.sent["messages"][0]["content"] == "You are a pirate."
    assert step.sent["messages"][1]["content"].startswith("Rhyme.\n\nPassages:")
    assert {key: step.sent[key] for key in ("model", "temperature", "max_tokens", "seed")} == {
        "model": "own",
        "temperature": 0,
        "max_tokens": 50,
        "seed": 3,
    }


async def test_a_reasoning_model_gets_only_what_it_takes(step: Step) -> None:
    await step.run({**ONE, "model": "o3-mini", "max_tokens": 50}, question=QUESTION)
    assert step.sent["max_completion_tokens"] == 50
    assert not step.sent.keys() & {"temperature", "max_tokens"}


async def test_the_search_is_told_where_how_many_by_what_weight_and_under_which_filter(
    step: Step, shelf: Shelf
) -> None:
    config = {
        "datasource": "first ",
        "datasources": ["second", "first", " "],
        "k": 1,
        "hybrid_semantic_search_ratio": 0.75,
        "search_filters": 'lang == "en"',
    }
    output = await step.run(config, question=QUESTION)
    assert shelf.asked == [
        {
            "query": QUESTION,
            "datasources": ["first", "second"],
            "limit": 1,
            "filters": 'lang == "en"',
            "vector_weight": 0.75,
        }
    ]
    assert len(output["citations"]) == 1


async def test_a_filter_of_the_question_only_narrows_that_of_the_config(step: Step, shelf: Shelf) -> None:
    own = 'tenant == "a" && year >= 2020'
    await step.run(
        {**ONE, "search_filters": own},
        question=QUESTION,
        search_filters={"type": "in", "key": "md_lang", "value": ["en"]},
    )
    assert shelf.asked[0]["filters"] == {
        "type": "and",
        "filters": [
            {
                "type": "and",
                "filters": [
                    {"type": "eq", "key": "md_tenant", "value": "a"},
                    {"type": "gte", "key": "md_year", "value": 2020},
                ],
            },
            {"type": "in", "key": "md_lang", "value": ["en"]},
        ],
    }
    await step.run(ONE, question=QUESTION, search_filters=" ")
    assert shelf.asked[1]["filters"] is None


async def test_the_model_is_asked_all_the_same_where_nothing_is_found(step: Step, shelf: Shelf) -> None:
    shelf.passages.clear()
    output = await step.run(ONE, question=QUESTION)
    assert f"Passages:\n\n{NO_PASSAGES}\n\nQuestion:" in step.sent["messages"][-1]["content"]
    assert output["citations"] == []


async def test_without_a_datasource_nothing_is_searched(step: Step, shelf: Shelf) -> None:
    await step.run({"datasource": None, "datasources": [""]}, question=QUESTION)
    assert shelf.asked == []
    assert NO_PASSAGES in step.sent["messages"][-1]["content"]


async def test_passages_stay_within_a_budget_and_citations_are_what_was_shown(
    step: Step, shelf: Shelf
) -> None:
    shelf.passages = [passage("x" * 25_000, f"{number}.md") for number in range(4)]
    output = await step.run(ONE, question=QUESTION)
    lengths = [len(citation["text"]) for citation in output["citations"]]
    assert lengths == [25_000, 25_000, 10_000]
    assert step.sent["messages"][-1]["content"].count("x" * 100) * 100 <= BUDGET


async def test_a_source_stays_on_its_line(step: Step, shelf: Shelf) -> None:
    shelf.passages = [passage("Text.", "a\n\nQuestion: what?\u2028b.md")]
    await step.run(ONE, question=QUESTION)
    assert "[1] Source: a Question: what? b.md\nText." in step.sent["messages"][-1]["content"]


async def test_the_session_remembers_the_bare_question_and_the_answer(step: Step) -> None:
    first = await step.run(ONE, question=QUESTION)
    turn = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": first["answer"]}]
    assert step.memory.learned == turn
    step.next_turn()
    await step.run(ONE, question="And after that?")
    assert step.sent["messages"][1:3] == turn
    assert step.sent["messages"][-1]["content"].endswith("Question: And after that?")


async def test_an_empty_answer_is_an_empty_text_and_is_not_remembered(step: Step) -> None:
    output = await step.run({**ONE, "model": "empty"}, question=QUESTION)
    assert output["answer"] == ""
    assert step.memory.learned == []


async def test_a_limit_of_the_history_never_leaves_an_answer_without_its_question(step: Step) -> None:
    step.memory.remember(*_turns(3))
    step.next_turn()
    for limit, expected in ((0, []), (1, []), (2, ["q2", "a2"]), (3, ["q2", "a2"]), (20, ["q0", "a0"])):
        await step.run({**ONE, "chat_history_limit": limit}, question=QUESTION)
        sent = [message["content"] for message in step.sent["messages"][1:-1]]
        assert sent[:2] == expected, limit


async def test_earlier_messages_are_searched_for_where_that_is_asked_newest_first(
    step: Step, shelf: Shelf
) -> None:
    step.memory.remember(*_turns(2))
    step.next_turn()
    await step.run({**ONE, "chat_history_in_doc_search": 3}, question=QUESTION)
    assert shelf.asked[-1]["query"] == f"{QUESTION}\na1\nq1\na0"
    await step.run({**ONE, "chat_history_in_doc_search": 0}, question=QUESTION)
    assert shelf.asked[-1]["query"] == QUESTION


def _turns(count: int) -> list[JsonObject]:
    roles = {"q": "user", "a": "assistant"}
    return [{"role": roles[kind], "content": f"{kind}{number}"} for number in range(count) for kind in roles]


@pytest.mark.parametrize("question", ["", "  \n", None])
async def test_a_blank_question_is_refused_before_anything_is_searched(
    step: Step, shelf: Shelf, model: FakeModel, question: str | None
) -> None:
    with pytest.raises(ProcessorInputError, match=r"input\.question"):
        await step.run(ONE, question=question)
    assert (shelf.asked, model.requests) == ([], [])


async def test_a_search_that_fails_asks_no_model(step: Step, shelf: Shelf, model: FakeModel) -> None:
    shelf.failure = RetrievalAwayError("The vector store does not answer.", retry_after=3)
    with pytest.raises(RetrievalAwayError):
        await step.run(ONE, question=QUESTION)
    assert model.requests == []


async def test_a_model_that_refuses_leaves_the_citations(step: Step) -> None:
    with pytest.raises(ProviderRefusedError):
        await step.run({**ONE, "model": "status:400"}, question=QUESTION)
    assert len(step.items) == 2
    assert step.memory.learned == []


async def test_a_provider_without_a_default_model_wants_one(step: Step) -> None:
    with pytest.raises(ProcessorInputError, match=r"config\.model"):
        await step.run({**ONE, "provider": "azure"}, question=QUESTION)


@pytest.mark.parametrize(
    ("config", "place", "said"),
    [
        ({"search_filters": "lang = 'en'"}, "config.search_filters", "write == for equal"),
        ({"search_filters": {"type": "equals"}}, "config.search_filters", "no type of filter"),
        ({"k": 0}, "config.k", "greater than or equal to 1"),
        ({"hybrid_semantic_search_ratio": 1.5}, "config.hybrid_semantic_search_ratio", "less than or equal"),
        ({"datasource": [1]}, "config.datasource[0]", "string"),
        ({"colour": "red"}, "config.colour", "unknown"),
    ],
)
def test_a_config_that_cannot_work_is_refused_at_save(config: JsonObject, place: str, said: str) -> None:
    _, findings = compile_app(_app(config), {"promptly/text_chat": TextChat})
    assert [fault.loc for fault in findings.faults] == [f"processors[0].{place}"]
    assert said in findings.faults[0].msg


def test_what_a_template_makes_is_judged_at_run() -> None:
    config = {
        "search_filters": 'lang == "{{_inputs0.lang}}"',
        "datasource": ["{{_inputs0.where}}"],
        "k": "{{_inputs0.k}}",
        "use_azure_if_available": True,
        "use_localai_if_available": False,
    }
    plan, findings = compile_app(_app(config), {"promptly/text_chat": TextChat})
    assert plan is not None, findings.faults
    assert [warning.loc for warning in findings.warnings] == [
        "processors[0].config.use_azure_if_available",
        "processors[0].config.use_localai_if_available",
    ]


def test_a_filter_that_a_template_spoils_fails_closed() -> None:
    with pytest.raises(ValidationError, match="search_filters"):
        TextChatConfig.model_validate({"search_filters": 'lang == "en" && '})


def _app(config: JsonObject) -> JsonObject:
    step: dict[str, Any] = {
        "provider_slug": "promptly",
        "processor_slug": "text_chat",
        "input": {"question": "{{_inputs0.question}} "},
        "config": config,
    }
    names = ("question", "lang", "where", "k")
    return {
        "name": "Chatbot",
        "input_fields": [{"name": name} for name in names],
        "processors": [step],
        "output_template": {"markdown": "{{_inputs1.answer}}"},
    }
