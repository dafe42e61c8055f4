"""Writes docs/settings.md: `python -m tests.settings_table > docs/settings.md`."""

import sys

from llmstack_api.settings import describe

HEAD = """\
# Settings

Everything an operator can set, by environment variable or in a `.env` file in the working directory; the
environment wins. An empty value counts as not set. A wrong one stops the start with a line that names it, and
exit code 2.
`llmstack-api doctor` shows the values in use, secrets only as set or not set.

| Variable | Default | Meaning |
|---|---|---|
"""


def render() -> str:
    """Return the document."""
    rows = (
        f"| `{variable}` | {f'`{default}`' if default else ''} | {text.replace('|', '&#124;')} |\n"
        for variable, default, text in describe()
    )
    return HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(render())
