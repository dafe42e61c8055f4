"""Liquid with a budget: templates that end in bounded time and memory whatever is in them."""

from llmstack_api.engine.liquid.budget import Budget, to_text
from llmstack_api.engine.liquid.rendering import Buffer, Context, Pending
from llmstack_api.engine.liquid.syntax import parse
from llmstack_api.engine.liquid.template import (
    Bare,
    FilterCall,
    Reference,
    Template,
    TemplateNode,
    TemplateSyntaxError,
    Text,
    new_context,
    render,
    render_node,
)

__all__ = [
    "Bare",
    "Budget",
    "Buffer",
    "Context",
    "FilterCall",
    "Pending",
    "Reference",
    "Template",
    "TemplateNode",
    "TemplateSyntaxError",
    "Text",
    "new_context",
    "parse",
    "render",
    "render_node",
    "to_text",
]
