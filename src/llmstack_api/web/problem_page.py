"""The page that explains every problem, made from the error classes."""

from collections.abc import Iterator
from html import escape
from http import HTTPStatus

from llmstack_api.web.problem_kinds import problem_kinds


def problem_page(*, static: str) -> str:
    """Write the page; `static` is where its style is."""
    sections = "\n".join(_sections())
    return f"""<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>llmstack-api: problems</title>
    <link rel="icon" type="image/png" href="{static}/favicon-32x32.png">
    <link rel="stylesheet" href="{static}/explorer.css">
  </head>
  <body>
    <header class="page-header">
      <strong>llmstack-api</strong>
      <nav><a href="../docs">API explorer</a> <a href="../openapi.json">OpenAPI document</a></nav>
    </header>
    <main class="problems">
      <h1>Problems</h1>
      <p>Every error is an <code>application/problem+json</code> (RFC 9457). Its <code>type</code> ends in one
        of the slugs below and leads here; <code>detail</code> says what went wrong this time,
        <code>errors</code> names each place on a 422, and <code>request_id</code> is what the server's log
        knows the request by. A run that fails while it streams says the same slug as the <code>code</code> of
        its <code>errors</code> line.</p>
      <pre>{escape(_EXAMPLE)}</pre>
{sections}
    </main>
  </body>
</html>
"""


_EXAMPLE = """\
{
  "type": "/docs/problems#app-not-found",
  "title": "App not found",
  "status": 404,
  "detail": "There is no such app.",
  "request_id": "0192f0c1-7a30-7c44-9d3e-5f6a7b8c9d0e"
}"""


def _sections() -> Iterator[str]:
    shown = 0
    for kind in problem_kinds():
        if kind.status != shown:
            shown = kind.status
            yield f"      <h2>{shown} {HTTPStatus(shown).phrase}</h2>"
        yield (
            f'      <section class="problem" id="{escape(kind.slug)}">'
            f'<h3><a href="#{escape(kind.slug)}">{escape(kind.title)}</a></h3>'
            f'<p class="problem__facts"><code>{escape(kind.slug)}</code></p>'
            f"<p>{_inline(kind.meaning)}</p>"
            f'<p class="problem__facts">For example: {escape(kind.example["detail"])}</p></section>'
        )


def _inline(text: str) -> str:
    """Turn back-quoted words into code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
