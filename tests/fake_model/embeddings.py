"""What `/embeddings` answers, by the name of the model: `kind[:value][:key=value]...`.

Every text has a vector of its own, the same in every call, that counts its letters; near for texts alike. Kinds:

- any unknown name: 8 numbers a vector, or `dim:N`; `delay:S` waits S seconds; `no-index` leaves the places out.
- Faults of the answer: `unordered` (last text first), `same-index`, `few` (one vector too few), `many`, `ragged`
  (the last vector is shorter); of its last vector: `nan` (a null where a number was due), `text`, `huge`, `zeros`,
  `empty`, `null`.
- `key:K` refuses every other key (401); `max:N` refuses over N texts (422); and every fault and silence of
  `behaviours` that says nothing of chat: `status`, `redirect`, `html`, `nothing`, `cut-error`, `drop-before`,
  `not-http`, `gzip`, `hang`, `hang-headers`, `big-json`, `error`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

from tests.fake_model import answers
from tests.fake_model.faults import FAULTS
from tests.fake_model.scripts import Script, reply_json
from tests.fake_model.wire import Exchange

DIMENSION: Final = 8
_SHARED: Final = frozenset(
    {"status", "redirect", "html", "nothing", "cut-error", "drop-before", "not-http", "gzip"}
    | {"hang", "hang-headers", "big-json"}
)


async def play(exchange: Exchange, script: Script) -> None:
    """Answer."""
    if script.kind in _SHARED:
        return await FAULTS[script.kind](exchange, script)
    texts: list[str] = script.body["input"]
    if script.kind == "delay":
        await asyncio.sleep(float(script.value or 1))
    if script.kind == "key" and exchange.received.headers.get("authorization") != f"Bearer {script.value}":
        key = exchange.received.headers.get("authorization", "none")
        return reply_json(exchange, answers.error(f"Incorrect API key provided: {key}."), status=401)
    if script.kind == "max" and len(texts) > script.number(1):
        return reply_json(exchange, answers.error("Too many texts."), status=422)
    if script.kind == "error":
        return reply_json(exchange, answers.error("The model ran out of memory."))
    dimension = script.number(DIMENSION) if script.kind == "dim" else DIMENSION
    items = [
        {"object": "embedding", "index": index, "embedding": vector_of(text, dimension)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": sum(len(answers.words(text)) for text in texts)}
    data = _spoil(script.kind, items)
    return reply_json(exchange, {"object": "list", "data": data, "model": script.model, "usage": usage})


def vector_of(text: str, dimension: int = DIMENSION) -> list[float]:
    """Count the letters of a text into places; not of unit length."""
    vector = [0.5] + [0.0] * (dimension - 1)
    for letter in text.lower():
        vector[crc32(letter.encode()) % dimension] += 1.0
    return vector


Item = dict[str, Any]
_ANSWERS: Final[dict[str, Callable[[list[Item]], list[Item]]]] = {
    "unordered": lambda items: items[::-1],
    "same-index": lambda items: [item | {"index": 0} for item in items],
    "no-index": lambda items: [{"embedding": item["embedding"]} for item in items],
    "few": lambda items: items[:-1],
    "many": lambda items: [*items, items[-1] | {"index": len(items)}],
}
_VECTORS: Final[dict[str, Callable[[list[float]], Any]]] = {
    "ragged": lambda vector: vector[:-1],
    "nan": lambda vector: [None, *vector[1:]],
    "text": lambda vector: ["0.5", *vector[1:]],
    "huge": lambda vector: [1.7e308, 1.7e308, *vector[2:]],
    "zeros": lambda vector: [0.0 for _ in vector],
    "empty": lambda _: [],
    "null": lambda _: None,
}


def _spoil(kind: str, items: list[Item]) -> list[Item]:
    """Spoil an answer as a whole, or the vector of its last text."""
    if spoil_vector := _VECTORS.get(kind):
        return [*items[:-1], items[-1] | {"embedding": spoil_vector(items[-1]["embedding"])}]
    return _ANSWERS[kind](items) if kind in _ANSWERS else items
