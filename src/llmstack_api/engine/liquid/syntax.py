"""Parses templates with python-liquid's parser, behind a lexer of our own."""

from typing import ClassVar

from liquid import BoundTemplate, Environment, TokenStream
from liquid.builtin.output import Output
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.exceptions import BlockNestingError, LiquidError
from liquid.parser import get_parser

from llmstack_api.engine.liquid.lexer import tokenize
from llmstack_api.engine.liquid.rendering import PricedOutput, line_of
from llmstack_api.engine.liquid.survey import survey
from llmstack_api.engine.liquid.template import Template, TemplateSyntaxError

MAX_SOURCE = 64 * 1024
"""Longest template, in characters."""
MAX_BLOCKS = 20
"""Deepest nesting of tags."""


class _OutputTag(Output):
    node_class = PricedOutput


class _EchoTag(EchoTag):
    node_class = PricedOutput


class _Environment(Environment):
    block_nesting_limit: ClassVar[int] = MAX_BLOCKS

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        # the first two load other templates, of which there are none; the lexer takes care of the others
        for name in ("include", "render", "liquid", "comment", "doc", "#"):
            del self.tags[name]
        self.add_tag(_OutputTag)
        self.add_tag(_EchoTag)
        # contexts look filters up in our table
        self.filters.clear()


_ENVIRONMENT = _Environment()


def parse(source: str) -> Template:
    """Parse a template and check it as far as that needs no values.

    Raises:
        TemplateSyntaxError: it cannot be rendered; one line that says where, if the source has several.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateSyntaxError(f"a template has at most {MAX_SOURCE:,} characters, not {len(source):,}")
    stream: TokenStream | None = None
    try:
        stream = TokenStream(tokenize(source))
        nodes = get_parser(_ENVIRONMENT).parse(stream)
    except BlockNestingError:
        raise TemplateSyntaxError(f"tags are nested deeper than {MAX_BLOCKS} levels") from None
    except RecursionError:
        raise TemplateSyntaxError("an expression is nested too deep") from None
    except LiquidError as error:
        raise TemplateSyntaxError(_message(error, stream)) from None
    return survey(BoundTemplate(_ENVIRONMENT, nodes))


def _message(error: LiquidError, stream: TokenStream | None) -> str:
    token = error.token
    if stream and stream.tokens and (token is None or token.start_index < 0):
        token = stream.tokens[min(stream.pos, len(stream.tokens)) - 1]
    text = " ".join(str(error.message).split())
    return line_of(token) + text.replace("end of expression", "the end")
