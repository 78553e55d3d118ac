"""A telescope for trying the daemon: writes the raw frames of a simulated night, one after the other.

python examples/observatory/telescope.py [FOLDER] [--frames 12] [--size 512] [--pause 1]

Frames go to FOLDER, or to ./incoming: biases, darks and flats first, then the science frames.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from etendue.processors.simulation import simulate_night

ORDER = ("bias", "dark", "flat", "science")


def observe(folder: Path, frames: int, size: int, pause: float) -> int:
    """Simulate a night, and let its frames come in as from a camera; how many there were."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as elsewhere:
        taken = simulate_night(elsewhere, frames=frames, size=size, biases=5, darks=5, flats=5, filters=["R"])
        for path in sorted(taken, key=lambda path: (ORDER.index(path.name.partition("_")[0]), path.name)):
            shutil.copyfile(path, folder / path.name)  # like a camera's, the file grows under its final name
            time.sleep(pause)
    return len(taken)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the frames of a simulated night, one after the other.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("incoming"), help="where frames go")
    parser.add_argument("--frames", type=int, default=12, help="how many science frames")
    parser.add_argument("--size", type=int, default=512, help="side of a frame [px]")
    parser.add_argument("--pause", type=float, default=0.0, help="time between two frames [s]")
    given = parser.parse_args()
    count = observe(given.folder, given.frames, given.size, given.pause)
    print(f"{count} frames -> {given.folder}")
