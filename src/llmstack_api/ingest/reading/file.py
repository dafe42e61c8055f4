"""A file that was recognised: what its reader starts from."""

from dataclasses import dataclass

from llmstack_api.ingest.document import Encoding
from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.source import Source


@dataclass(frozen=True, slots=True)
class File:
    """A source and its kind, opened as far as it took to tell."""

    source: Source
    kind: FileKind
    text: str = ""
    """Decoded, where the kind is text."""
    encoding: Encoding | None = None
    """What the text was decoded by."""
    package: Package | None = None
    """Opened, where the kind is a ZIP archive."""

    @property
    def parts(self) -> Package:
        """The archive."""
        if self.package is None:
            raise TypeError("not an archive")
        return self.package
