"""Documents and files that the server itself brings: compressed once, told apart by an ETag."""

import gzip
import hashlib
from dataclasses import dataclass

from fastapi import Request, Response

_COMPRESSED = frozenset({"text/html; charset=utf-8", "text/css", "text/javascript", "application/json"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A body that does not change while the process lives."""

    media_type: str
    etag: str
    body: bytes
    """Compressed, where `compressed` says so."""
    compressed: bool

    @classmethod
    def of(cls, body: bytes, media_type: str) -> "Asset":
        """Make an asset; takes a tenth of a second for megabytes of text, so not in the event loop."""
        compressed = media_type in _COMPRESSED
        etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        return cls(media_type, etag, gzip.compress(body, mtime=0) if compressed else body, compressed)

    def respond(self, request: Request, headers: dict[str, str]) -> Response:
        """Answer 304 to whom has it already, else the body in an encoding that the client takes."""
        headers = {"ETag": self.etag, **headers}
        if self.compressed:
            headers["Vary"] = "Accept-Encoding"
        if _has(request.headers.get("if-none-match", ""), self.etag):
            return Response(status_code=304, headers=headers)
        if not self.compressed:
            return Response(self.body, headers=headers, media_type=self.media_type)
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            return Response(
                self.body, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.media_type
            )
        return Response(gzip.decompress(self.body), headers=headers, media_type=self.media_type)


def _has(if_none_match: str, etag: str) -> bool:
    known = {item.strip() for item in if_none_match.split(",")}
    return "*" in known or etag in known


def _takes_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.lower().split(","):
        coding, _, quality = item.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return quality.rstrip("0.") != "" if quality else True
    return False
