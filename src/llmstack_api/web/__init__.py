"""What every endpoint shares: the edge, tokens, problems, bounded bodies, paging, health and the docs."""
