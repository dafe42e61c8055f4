"""The vocabulary of the bundled vectors, and the file it is in."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import orjson

FIRST_PIECE = 259
"""Number of the first piece that is made of characters."""


def tokenizer_file() -> Path:
    """Return the file that the tokenizer is described in."""
    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], "tokenizers", "l2_supercat_tokenizer_config.json")


@cache
def vocabulary() -> dict[str, int]:
    """Return the numbers of all pieces."""
    return orjson.loads(tokenizer_file().read_bytes())["model"]["vocab"]


def pieces() -> list[str]:
    """Return the pieces that are made of characters."""
    return [piece for piece, number in vocabulary().items() if number >= FIRST_PIECE]
