"""A page to look at, without a daemon: a real queue with made jobs, and real products of simulated frames.

python -m tests.pipeline.web.demo_server --jobs 500 --port 8077
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.pipeline.web.demo import CHANGE_TOKEN, HOSTILE, READ_TOKEN, TRACEBACK, DemoService

__all__ = ["CHANGE_TOKEN", "HOSTILE", "READ_TOKEN", "TRACEBACK", "DemoService", "demo_service"]


@contextlib.contextmanager
def demo_service(folder: Path, *, jobs: int = 200, real: int = 2, **options: Any) -> Iterator[DemoService]:
    """A service with made jobs, the last of which are real, and its end."""
    service = DemoService(folder, **options)
    try:
        service.add_many(jobs)
        for seed in range(1, real + 1):
            service.add_real(f"field-{seed}.fits", seed=seed)
        yield service
    finally:
        service.close()


async def serve_demo(service: DemoService, port: int, *, live: bool) -> None:
    """Serve the page until this is cancelled."""
    from etendue.pipeline.web import serve_web

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_web(service, port=port, started=lambda address: print(address, flush=True)))
        if live:
            tasks.create_task(service.live())


def main() -> None:
    """Serve the page until Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=300, help="made jobs")
    parser.add_argument("--real", type=int, default=2, help="simulated frames that are really reduced")
    parser.add_argument("--port", type=int, default=8077)
    parser.add_argument("--still", action="store_true", help="no jobs come and go")
    parser.add_argument("--tokens", action="store_true", help=f"ask for tokens: {READ_TOKEN} or {CHANGE_TOKEN}")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="etendue-demo-") as folder,
        demo_service(Path(folder), jobs=arguments.jobs, real=arguments.real, tokens=arguments.tokens) as service,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(json.dumps({"folder": folder}), flush=True)
        asyncio.run(serve_demo(service, arguments.port, live=not arguments.still))


if __name__ == "__main__":
    main()
