"""Plain text and Markdown, as they stand."""

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft, tidy
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.tables.pipe_table import pipe_tables


def read(file: File) -> Document:
    """Read plain text or Markdown as it stands."""
    draft = Draft()
    text = tidy(file.text).lstrip("\n")
    if text.strip():
        draft.append(text)
        for start, end, header in pipe_tables(text):
            draft.mark_table(start, end=end, header=header)
    title = None
    if file.kind is FileKind.MARKDOWN:
        heading = next((line for line in file.text.splitlines() if line.startswith("# ")), "")
        title = heading.strip("# \t")
    return draft.finish(file.kind.value, title=title, encoding=file.encoding)
