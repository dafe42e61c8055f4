"""A scripted web server on a real socket, for what fetches."""

from tests.fake_site.server import FakeSite, fake_site

__all__ = ["FakeSite", "fake_site"]
