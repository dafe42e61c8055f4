"""A fake model server on a real socket, in OpenAI's and Anthropic's wire forms, scripted by the name of the model."""

from tests.fake_model.forms import Upload
from tests.fake_model.server import FakeModel, fake_model_server
from tests.fake_model.wire import Received

__all__ = ["FakeModel", "Received", "Upload", "fake_model_server"]
