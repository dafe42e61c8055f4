"""`python -m llmstack_api.cli`: the command, where its script is not on the path."""

import sys

from llmstack_api.cli import main

if __name__ == "__main__":
    sys.exit(main())
