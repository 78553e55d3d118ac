"""A contestant in a plain loop over its share of a folder: ``python loop.py MODULE RAW OUT NUMBER OF``.

It does one frame to warm up, prints a line, waits for one, and takes every OF-th frame. It depends on nothing but
Python, so that a contestant can live in an environment of its own.
"""

import importlib
import sys
from pathlib import Path


def main(module: str, raw: str, out: str, number: str, of: str) -> None:
    """Take the frames through the chain."""
    contestant = importlib.import_module(module)
    frames = sorted(Path(raw).iterdir())[int(number) :: int(of)]
    warm = Path(out) / f".warm-{number}"
    contestant.chain(frames[0], warm)
    warm.unlink()
    print("ready", flush=True)
    sys.stdin.readline()
    for frame in frames:
        contestant.chain(frame, Path(out) / f"{frame.stem}_cat.fits")


if __name__ == "__main__":
    main(*sys.argv[1:])
