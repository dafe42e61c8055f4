"""A process of its own that stores entries until it is killed: `edge_writer FOLDER FIRST`."""

import asyncio
import sys
from pathlib import Path

from llmstack_api.vectors.edge import EdgeStore
from tests.vectors.points import DIMENSION, point

COLLECTION = "killed"
POINTS = 30


async def write(folder: Path, first: int) -> None:
    store = EdgeStore(folder)
    await store.ensure(COLLECTION, dimension=DIMENSION)
    print("open", flush=True)  # noqa: T201 # how the test follows
    number = first
    while True:
        points = [
            point(number * 100 + n, entry_id=str(number), terms={number: 1.0, 7: 1.0}) for n in range(POINTS)
        ]
        await store.upsert(COLLECTION, points)
        await store.flush(COLLECTION)
        print(number, flush=True)  # noqa: T201 # what is safe from here on
        number += 1


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
