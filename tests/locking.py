"""Another process that holds an SQLite file locked."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

TIMEOUT = 10.0

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.executescript(sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
"""


@asynccontextmanager
async def locked_by_another_process(path: Path, statements: str) -> AsyncGenerator[None]:
    """Let another process run statements, and keep its transaction open as long as the context is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDER,
        str(path),
        statements,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        assert await asyncio.wait_for(process.stdout.readline(), TIMEOUT) == b"locked\n"
        yield
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), TIMEOUT)
