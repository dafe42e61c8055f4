"""`builtin/extractive`: what it quotes, when it has no answer, and how often it is right about these documents."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from llmstack_api import auth
from llmstack_api.datasources.retriever import DatasourceRetriever
from llmstack_api.engine.ports import JsonObject, Ports
from llmstack_api.errors import ProcessorInputError, RetrievalAwayError
from llmstack_api.processors.extractive import MAX_CHARACTERS, NO_ANSWER, Extractive
from llmstack_api.settings import Settings
from tests.datasources.calls import WAIT, make_datasource
from tests.ports import make_ports
from tests.processors.extractive_questions import ANSWERABLE, UNANSWERABLE
from tests.processors.passages import Shelf, passage
from tests.processors.steps import Emitted, run_step
from tests.server import running_server

HERE = Path(__file__).parent
HANDBOOK = HERE.parents[1] / "examples" / "handbook"
DOCUMENTS = (*sorted(HERE.glob("documents/*.md")), *sorted(HANDBOOK.iterdir()))
"""The README and the guides as they were when the questions were written, so that edits of them move no figure."""

LENDING = passage(
    "# Lending\n\nA tool is lent for seven days.\n\n## Late\n\nEach day after the last one costs two euros. "
    "The fee is never\nhigher than the deposit.",
    "lending.md",
)
VISITING = passage("The tram stops at the fish market. We are closed on holidays.", "visiting.html")


async def ask(
    ports: Ports, question: Any, emitted: Emitted | None = None, passages: Any = None, **config: Any
) -> JsonObject:
    config.setdefault("datasource", ["first"])
    given = {} if passages is None else {"passages": passages}
    return await run_step(Extractive, ports, {"question": question, **given}, config, emitted)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf([LENDING, VISITING])


@pytest.fixture
def ports(shelf: Shelf) -> Ports:
    return make_ports(retriever=shelf)


async def test_the_answer_is_sentences_as_they_stand_each_with_the_number_of_its_citation(
    ports: Ports,
) -> None:
    emitted = Emitted()
    output = await ask(ports, "What is the fee for being late?", emitted)
    assert (output["answered"], output["generated"]) == (True, False)
    citations = output["citations"]
    assert [citation["n"] for citation in citations] == list(range(1, len(citations) + 1))
    assert {citation["source"] for citation in citations} == {"lending.md"}
    assert "The fee is never higher than the deposit." in [citation["text"] for citation in citations]
    assert output["answer"] == "\n\n".join(f"{citation['text']} [{citation['n']}]" for citation in citations)
    assert [citation["score"] for citation in citations] == sorted(
        (citation["score"] for citation in citations), reverse=True
    )
    assert emitted.paths.count(("answer",)) == len(citations)


async def test_where_nothing_answers_that_is_said_in_the_apps_own_words_or_ours(ports: Ports) -> None:
    nothing: JsonObject = {"citations": [], "answered": False, "generated": False}
    assert await ask(ports, "Who invented the steam engine?") == {**nothing, "answer": NO_ANSWER}
    own = await ask(ports, "Who invented the steam engine?", no_answer="No idea.")
    assert own == {**nothing, "answer": "No idea."}


async def test_no_passages_are_no_answer(ports: Ports, shelf: Shelf) -> None:
    shelf.passages.clear()
    assert (await ask(ports, "How long is a tool lent?"))["answered"] is False


async def test_a_question_about_a_name_that_no_passage_has_is_not_answered(ports: Ports) -> None:
    assert (await ask(ports, "Where does the tram stop?"))["answered"] is True
    assert (await ask(ports, "Where does the tram of Lisbon stop?"))["answered"] is False


async def test_the_search_is_told_where_how_many_by_what_weight_and_under_which_filter(
    ports: Ports, shelf: Shelf
) -> None:
    await ask(
        ports,
        " How long? ",
        datasources="second",
        k=3,
        search_filters='lang == "en"',
        hybrid_semantic_search_ratio=0.5,
    )
    assert shelf.asked == [
        {
            "query": "How long?",
            "datasources": ["first", "second"],
            "limit": 3,
            "filters": 'lang == "en"',
            "vector_weight": 0.5,
        }
    ]


@pytest.mark.parametrize(
    "given",
    [
        "A tool is lent for seven days.",
        ["A tool is lent for seven days."],
        [{"text": "A tool is lent for seven days.", "source": "", "score": 0.5}],
        [{"content": "A tool is lent for seven days.", "metadata": {"score": 1}}, {"content": None}],
    ],
)
async def test_given_passages_are_answered_from_without_a_search(
    ports: Ports, shelf: Shelf, given: Any
) -> None:
    output = await ask(ports, "How long is a tool lent?", passages=given)
    assert output["answer"] == "A tool is lent for seven days. [1]"
    assert output["citations"][0]["source"] == ""
    assert shelf.asked == []


async def test_an_empty_list_of_passages_is_no_answer(ports: Ports, shelf: Shelf) -> None:
    assert (await ask(ports, "How long?", passages=[]))["answer"] == NO_ANSWER
    assert shelf.asked == []


async def test_what_stands_in_several_passages_is_quoted_once(ports: Ports) -> None:
    given = [
        "A tool is lent for seven days.",
        "Rules. A tool is lent for seven days.",
        "A tool is lent for seven\ndays.",
    ]
    output = await ask(ports, "How long is a tool lent?", passages=given)
    assert [citation["text"] for citation in output["citations"]].count(given[0]) == 1


async def test_no_more_is_quoted_than_is_wanted(ports: Ports) -> None:
    given = [f"The ferry number {number} leaves at {number} o'clock." for number in range(1, 10)]
    for most in (1, 3):
        output = await ask(ports, "When does the ferry leave?", passages=given, max_sentences=most)
        assert len(output["citations"]) == most


async def test_a_question_in_a_script_without_blanks_is_answered_by_its_words(ports: Ports) -> None:
    lent = "\u5de5\u5177\u53ef\u4ee5\u501f\u4e03\u5929\u3002"  # a tool may be lent for seven days
    given = [f"{lent}\u5468\u65e5\u4e0d\u5f00\u95e8\u3002"]  # and on Sundays it is closed
    output = await ask(ports, "\u5de5\u5177\u53ef\u4ee5\u501f\u591a\u5c11\u5929\uff1f", passages=given)
    assert output["citations"][0]["text"] == lent
    nothing = await ask(
        ports, "\u8c01\u53d1\u660e\u4e86\u84b8\u6c7d\u673a\uff1f", passages=given
    )  # who invented ...
    assert nothing["answered"] is False


async def test_a_long_document_is_answered_from(ports: Ports) -> None:
    filler = "The quick brown fox jumps over the lazy dog near the river bank. "
    text = filler * 3000 + "A tool is lent for seven days. " + filler * 3000
    output = await ask(ports, "How many days is a tool lent?", passages=text)
    assert output["citations"][0]["text"] == "A tool is lent for seven days."


@pytest.mark.parametrize("question", ["What is it?", "?", "the", "!!! ???"])
async def test_a_question_that_says_nothing_is_not_answered(ports: Ports, question: str) -> None:
    assert (await ask(ports, question))["answered"] is False


@pytest.mark.parametrize("question", ["", " \n", None])
async def test_a_blank_question_is_refused(ports: Ports, question: str | None) -> None:
    with pytest.raises(ProcessorInputError, match=r"input\.question"):
        await ask(ports, question)


async def test_there_has_to_be_something_to_answer_from(ports: Ports) -> None:
    with pytest.raises(ProcessorInputError, match=r"input\.passages"):
        await ask(ports, "How long?", datasource=[])


async def test_passages_have_bounds(ports: Ports) -> None:
    with pytest.raises(ProcessorInputError, match=r"500,000 characters"):
        await ask(ports, "How long?", passages=["x" * MAX_CHARACTERS, "y"])
    with pytest.raises(ValidationError, match="at most 1000"):
        await ask(ports, "How long?", passages=["x"] * 1001)


async def test_a_search_that_fails_fails_the_step(ports: Ports, shelf: Shelf) -> None:
    shelf.failure = RetrievalAwayError("The vector store does not answer.")
    with pytest.raises(RetrievalAwayError):
        await ask(ports, "How long?")


async def test_questions_to_these_documents_are_answered_or_refused(sqlite_settings: Settings) -> None:
    async with running_server(sqlite_settings) as server, server.client() as client:
        datasource = await make_datasource(client)
        async with asyncio.TaskGroup() as uploads:
            for document in DOCUMENTS:
                uploads.create_task(upload(client, datasource, document.name, document.read_bytes()))
        account_id = await server.resources.db.write(auth.ensure_account, "default")
        ports = make_ports(retriever=DatasourceRetriever(server.resources, account_id))
        missed = [
            question
            for question, answers in ANSWERABLE.items()
            if not quotes_one_of(answers, await ask(ports, question, datasource=[datasource]))
        ]
        answered = [
            question
            for question in UNANSWERABLE
            if (await ask(ports, question, datasource=[datasource]))["answered"]
        ]
    assert (len(ANSWERABLE), len(UNANSWERABLE)) == (50, 15)
    assert len(ANSWERABLE) - len(missed) >= 35, missed
    assert answered == []


async def upload(client: httpx.AsyncClient, datasource: str, name: str, content: bytes) -> None:
    answer = await client.post(
        f"/api/datasources/{datasource}/entries",
        params=WAIT,
        files={"file": (name, content)},
        timeout=40,
    )
    assert answer.json()["status"] == "READY", answer.text


def quotes_one_of(answers: tuple[str, ...], output: JsonObject) -> bool:
    quoted = [" ".join(citation["text"].split()) for citation in output["citations"]]
    return any(answer in text for answer in answers for text in quoted)
