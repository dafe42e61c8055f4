"""Ingestion: a URL or a file becomes text, and text becomes chunks."""
