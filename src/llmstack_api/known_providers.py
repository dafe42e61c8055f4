"""The model providers that are known, and names of their models: names that age, so all in one place."""

from dataclasses import dataclass
from typing import Final, Literal

Protocol = Literal["openai", "anthropic"]
"""What a provider speaks: OpenAI's API, or Anthropic's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProvider:
    """A provider whose settings are `LLMSTACK_<SLUG>_BASE_URL` and `LLMSTACK_<SLUG>_API_KEY`."""

    slug: str
    name: str
    """What people call it."""
    base_url: str | None
    """Where it is called when only its key is set; None where there is no such place."""
    protocol: Protocol = "openai"
    key_header: str = "Authorization"
    """Where the key is sent; in `Authorization` after `Bearer`."""
    path: str = ""
    """What follows an address that has no path of its own."""
    chat: str | None = None
    """The model that is asked where nobody names one; likewise the following."""
    completion: str | None = None
    image: str | None = None
    speech: str | None = None
    transcription: str | None = None


PROVIDERS: Final = {
    provider.slug: provider
    for provider in (
        KnownProvider(
            slug="openai",
            name="OpenAI",
            base_url="https://api.openai.com/v1",
            chat="gpt-4o-mini",
            completion="gpt-3.5-turbo-instruct",
            image="gpt-image-2",
            speech="tts-1",
            transcription="whisper-1",
        ),
        KnownProvider(
            slug="anthropic",
            name="Anthropic",
            base_url="https://api.anthropic.com/v1",
            protocol="anthropic",
            key_header="x-api-key",
            chat="claude-haiku-4-5",
        ),
        KnownProvider(
            slug="azure", name="Azure OpenAI", base_url=None, key_header="api-key", path="/openai/v1"
        ),
        KnownProvider(
            slug="cohere",
            name="Cohere",
            base_url="https://api.cohere.ai/compatibility/v1",
            chat="command-a-03-2025",
        ),
        KnownProvider(
            slug="google",
            name="Google Gemini",
            base_url="https://generativelanguage.googleapis.com/v1beta/openai",
            chat="gemini-2.5-flash",
        ),
        KnownProvider(slug="localai", name="LocalAI", base_url=None),
        KnownProvider(
            slug="meta",
            name="Meta Llama API",
            base_url="https://api.llama.com/compat/v1",
            chat="Llama-3.3-70B-Instruct",
        ),
        KnownProvider(
            slug="mistral",
            name="Mistral",
            base_url="https://api.mistral.ai/v1",
            chat="mistral-small-latest",
        ),
    )
}

_REASONING: Final = ("o1", "o3", "o4", "gpt-5")


def is_reasoning(model: str) -> bool:
    """Tell whether a model takes `max_completion_tokens`, not `max_tokens`, and only its own temperature."""
    name = model.rpartition("/")[2]
    return any(name == known or name.startswith((f"{known}-", f"{known}.")) for known in _REASONING)
