"""Commands on a machine where nothing can be written but one folder; what to do if there can be no such machine."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

import pytest

from tests import seal

REQUIRED: Final = "SEALED_TESTS"
"""Set to `required`, it makes a machine that seals nothing a failure; `impossible` says that it is known."""

BARE: Final = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(seal.CHECKOUT)}
"""An environment with no home and no temporary folder."""


def sealed(folder: Path, *command: str, network: Literal["host", "none"] = "none") -> tuple[str, ...]:
    """Return the command that runs another one where only `folder` can be written, as `seal.writable()`."""
    return (sys.executable, "-I", seal.__file__, str(folder), network, *command)


def require_sealing(folder: Path) -> None:
    """Go on where this machine can be sealed. Where it cannot, say so: as a failure if that was required."""
    done = subprocess.run(sealed(folder, "true"), capture_output=True, text=True, check=False, timeout=20)  # noqa: S603 # fixed
    if done.returncode == seal.NOT_ALLOWED:
        reason = f"NOT TESTED on a read-only file system: {done.stderr.strip()}"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    assert done.returncode == 0, done.stderr
