"""A retriever over passages that a test gives, for tests of what is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from llmstack_api.engine.ports import JsonObject, Passage


def passage(content: str, source: str = "handbook.md", score: float = 1.0, **metadata: Any) -> Passage:
    """Make a passage."""
    return Passage(
        content=content,
        source=source,
        score=score,
        metadata={"source": source, **metadata},
        datasource="first",
        entry="entry",
    )


@dataclass
class Shelf:
    """The port `Retriever`: gives its passages, best first, whatever is asked, and notes what that was."""

    passages: list[Passage] = field(default_factory=list[Passage])
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failure: Exception | None = None

    async def search(
        self,
        query: str,
        *,
        datasources: Sequence[str],
        limit: int,
        filters: str | JsonObject | None = None,
        vector_weight: float | None = None,
    ) -> list[Passage]:
        """See `Retriever`."""
        self.asked.append(
            {
                "query": query,
                "datasources": list(datasources),
                "limit": limit,
                "filters": filters,
                "vector_weight": vector_weight,
            }
        )
        if self.failure is not None:
            raise self.failure
        return self.passages[:limit]
