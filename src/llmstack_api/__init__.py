"""The self-hosted server on which LLM apps are defined as text and called over HTTP."""

__version__ = "0.1.0"
