"""Encodings of text: which one a file is in, and its characters."""
