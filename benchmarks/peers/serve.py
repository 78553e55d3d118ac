"""One contestant in a process of its own: ``python serve.py MODULE FRAME OUTPUT``.

Each line on standard input is a round; the answer is a line of JSON. The first round warms up (imports, compilation,
page cache). It depends on nothing but Python, so that a contestant can live in an environment of its own.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path


def cpu_seconds() -> float:
    """User and system time of this process and of its finished children [s]."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_bytes(pid: int | str = "self") -> int:
    """Largest resident memory of a process so far [byte]; 0 if it has ended.

    Not getrusage's ru_maxrss: a program inherits that from the process that started it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return 1024 * int(lines[0][1]) if lines else 0


def main(module: str, frame: str, output: str) -> None:
    """Serve rounds until standard input ends."""
    contestant = importlib.import_module(module)
    for _ in sys.stdin:
        cpu, wall = cpu_seconds(), time.perf_counter()
        sources = contestant.chain(Path(frame), Path(output))
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        peak = contestant.program_peak if hasattr(contestant, "program_peak") else peak_bytes()
        print(json.dumps({"wall": wall, "cpu": cpu, "sources": int(sources), "peak": peak}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
