"""A fake OpenAI-compatible model server on a real socket, scripted by the name of the model."""

from tests.fake_model.server import FakeModel, fake_model_server
from tests.fake_model.wire import Received

__all__ = ["FakeModel", "Received", "fake_model_server"]
