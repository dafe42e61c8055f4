"""The pure engine: definitions, templates, graph and runner; it knows neither HTTP nor SQL."""
