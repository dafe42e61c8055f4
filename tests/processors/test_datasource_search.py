"""`promptly/datasource_search` over passages that the tests give."""

from typing import Any

import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.datasource_search import DatasourceSearch
from tests.ports import make_ports
from tests.processors.passages import Shelf, passage
from tests.processors.steps import Emitted, run_step


async def search(
    shelf: Shelf, query: Any = "herring", emitted: Emitted | None = None, **config: Any
) -> JsonObject:
    config.setdefault("datasources", ["first"])
    return await run_step(DatasourceSearch, make_ports(retriever=shelf), {"query": query}, config, emitted)


async def test_passages_come_one_by_one_and_as_one_text() -> None:
    shelf = Shelf([passage("One.", "a.md", 1.5, md_lang="en"), passage("Two.", "b.md", 0.5)])
    emitted = Emitted()
    output = await search(shelf, emitted=emitted)
    assert output == {
        "answers": [
            {
                "content": "One.",
                "source": "a.md",
                "score": 1.5,
                "metadata": {"score": 1.5, "datasource": "first", "entry": "entry"},
                "additional_properties": {"source": "a.md", "md_lang": "en"},
            },
            {
                "content": "Two.",
                "source": "b.md",
                "score": 0.5,
                "metadata": {"score": 0.5, "datasource": "first", "entry": "entry"},
                "additional_properties": {"source": "b.md"},
            },
        ],
        "answers_text": "Content: One.\n\nSource: a.md\n\n\nContent: Two.\n\nSource: b.md\n\n\n",
    }
    assert emitted.paths == [("answers",), ("answers_text",)] * 2


async def test_the_search_is_told_where_how_many_by_what_weight_and_under_which_filter() -> None:
    shelf = Shelf()
    await search(
        shelf,
        "herring ",
        datasource="second",
        document_limit=7,
        search_filters={"type": "eq", "key": "lang", "value": "en"},
        hybrid_semantic_search_ratio=0,
    )
    assert shelf.asked == [
        {
            "query": "herring",
            "datasources": ["first", "second"],
            "limit": 7,
            "filters": {"type": "eq", "key": "lang", "value": "en"},
            "vector_weight": 0,
        }
    ]


async def test_four_passages_are_returned_by_default() -> None:
    output = await search(Shelf([passage(str(number)) for number in range(9)]))
    assert [answer["content"] for answer in output["answers"]] == ["0", "1", "2", "3"]


async def test_nothing_found_is_an_empty_list_and_an_empty_text() -> None:
    assert await search(Shelf()) == {"answers": [], "answers_text": ""}


async def test_without_a_datasource_nothing_is_searched() -> None:
    shelf = Shelf([passage("One.")])
    assert (await search(shelf, datasources=[" "]))["answers"] == []
    assert shelf.asked == []


@pytest.mark.parametrize("query", ["", " \n", None])
async def test_a_blank_query_is_refused(query: str | None) -> None:
    with pytest.raises(ProcessorInputError, match=r"input\.query"):
        await search(Shelf(), query)


def test_a_filter_that_cannot_be_understood_is_refused_at_save() -> None:
    step = {
        "provider_slug": "promptly",
        "processor_slug": "datasource_search",
        "input": {"query": "x"},
        "config": {"search_filters": "lang IN [1]"},
    }
    app = {"name": "Search", "processors": [step], "output": {"hits": "{{_inputs1.answers}}"}}
    _, findings = compile_app(app, {"promptly/datasource_search": DatasourceSearch})
    assert [fault.loc for fault in findings.faults] == ["processors[0].config.search_filters"]
