"""Run the fake model server as a process: `python -m tests.fake_model [--host H] [--port P]`."""

import argparse
import asyncio
import sys

import uvloop

from tests.fake_model.server import fake_model_server


async def _serve(host: str, port: int) -> None:
    async with fake_model_server(host=host, port=port) as model:
        sys.stdout.write(f"{model.base_url}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve until interrupted; the first line printed is the address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    try:
        uvloop.run(_serve(options.host, options.port))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
