"""Servers of tools: one made with the SDK, on a real socket, and one that follows a script."""

from tests.fake_mcp.real import RealServer, mcp_server
from tests.fake_mcp.scripted import HELLO, error, events, result, talker

__all__ = ["HELLO", "RealServer", "error", "events", "mcp_server", "result", "talker"]
