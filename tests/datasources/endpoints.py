"""Settings of a server that has an embedding endpoint."""

from pydantic import SecretStr

from llmstack_api.settings import Settings
from tests.fake_model import FakeModel


def with_endpoint(
    settings: Settings, model: FakeModel, *, model_name: str = "dim:16", key: str = "sk-x"
) -> Settings:
    """Add an embedding endpoint, whose model is the default of new datasources."""
    return settings.model_copy(
        update={
            "embedding_base_url": model.base_url,
            "embedding_model": model_name,
            "embedding_api_key": SecretStr(key),
        }
    )
