"""Vectors: embedding, sparse terms, filters, and the index that holds them."""
