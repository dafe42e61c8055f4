"""A Qdrant server for tests: its REST API, as far as it is used, over the embedded engine."""

from tests.fake_qdrant.faults import Fault
from tests.fake_qdrant.server import FakeQdrant, Received, fake_qdrant_server

__all__ = ["FakeQdrant", "Fault", "Received", "fake_qdrant_server"]
