"""Files in the repository that are made by the code: compared, or written anew with UPDATE_SNAPSHOTS=1."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def check_snapshot(name: str, text: str) -> None:
    """Compare a file with what it should hold."""
    path = ROOT / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    assert kept == text, f"{name} is stale: run `make openapi`"
