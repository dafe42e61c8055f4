"""The registry of processors: ours, explicit; third parties' by entry point."""

from types import MappingProxyType
from typing import Any

from llmstack_api.engine.plan import Registry
from llmstack_api.engine.processor import Processor
from llmstack_api.processors.agent import Agent
from llmstack_api.processors.chat_providers import (
    AnthropicMessages,
    CohereChat,
    GoogleChat,
    MetaChat,
    MistralChat,
)
from llmstack_api.processors.datasource_search import DatasourceSearch
from llmstack_api.processors.echo import Echo
from llmstack_api.processors.entry_points import with_third_parties
from llmstack_api.processors.extractive import Extractive
from llmstack_api.processors.http_api import HttpApi
from llmstack_api.processors.images import ImageGenerations
from llmstack_api.processors.lists import Map, Reduce
from llmstack_api.processors.llm_chat import LLM
from llmstack_api.processors.openai_chatgpt import AzureChatGPT, ChatGPT, LocalAIChatGPT
from llmstack_api.processors.openai_completions import Completions, LocalAICompletions
from llmstack_api.processors.promptly_app import PromptlyApp
from llmstack_api.processors.simple_http import SimpleHttp
from llmstack_api.processors.speech import TextToSpeech
from llmstack_api.processors.splitter import Splitter
from llmstack_api.processors.text_chat import TextChat
from llmstack_api.processors.text_extract import DataUriTextExtract, HttpUriTextExtract
from llmstack_api.processors.transcriptions import AudioTranscriptions, AudioTranslations
from llmstack_api.processors.vision import ChatGPTVision
from llmstack_api.processors.web_search import WebSearch

__all__ = ["REGISTRY", "Registry", "load_registry"]

_OURS: tuple[type[Processor[Any, Any]], ...] = (
    Agent,
    AnthropicMessages,
    AudioTranscriptions,
    AudioTranslations,
    AzureChatGPT,
    ChatGPT,
    ChatGPTVision,
    CohereChat,
    Completions,
    DataUriTextExtract,
    DatasourceSearch,
    Echo,
    Extractive,
    GoogleChat,
    HttpApi,
    HttpUriTextExtract,
    ImageGenerations,
    LLM,
    LocalAIChatGPT,
    LocalAICompletions,
    Map,
    MetaChat,
    MistralChat,
    PromptlyApp,
    Reduce,
    SimpleHttp,
    Splitter,
    TextChat,
    TextToSpeech,
    WebSearch,
)

REGISTRY: Registry = MappingProxyType({f"{kind.provider_slug}/{kind.slug}": kind for kind in _OURS})
"""Our own."""


def load_registry() -> Registry:
    """Return our processors and those of installed packages.

    Raises:
        StartError: a package's cannot be taken.
    """
    return with_third_parties(REGISTRY)
