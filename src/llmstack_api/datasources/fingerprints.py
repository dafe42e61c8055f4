"""Digests that tell whether content sent again is the same."""

import hashlib

import orjson

from llmstack_api.engine.ports import JsonObject


def fingerprint(kind: str, content: str | bytes, entry_metadata: JsonObject, *names: str | None) -> str:
    """Return the digest of an entry as it was sent."""
    digest = hashlib.sha256(orjson.dumps([kind, names, entry_metadata], option=orjson.OPT_SORT_KEYS))
    digest.update(content.encode() if isinstance(content, str) else content)
    return digest.hexdigest()
