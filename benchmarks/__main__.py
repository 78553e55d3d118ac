"""``python -m benchmarks [NAMES…] [--quick]``: run the measurements and write benchmarks/RESULTS.md.

A benchmark is a module of this folder with ``run(quick=False) -> list[dict]``: one row for each line of its table.
Its docstring says what is measured; ``NOTES`` (a string) says what a reader must know to judge the numbers.
"""

import argparse
import importlib
import inspect
import json
import os
import pkgutil
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PACKAGES = ("etendue", "numpy", "scipy", "astropy", "photutils", "ccdproc", "sep", "numba", "pyarrow")


def benchmarks() -> dict[str, ModuleType]:
    """All modules here that measure something, by name."""
    names = [module.name for module in pkgutil.iter_modules([str(HERE)]) if not module.name.startswith("_")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def machine() -> str:
    """Processor, cores and memory."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def versions() -> str:
    """Versions of what takes part."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} absent")
    return ", ".join(found)


def commit() -> str:
    """The commit that is measured; empty outside a repository."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def cell(value: Any) -> str:
    """A value in a table: numbers with three significant digits."""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value).replace("|", "\\|")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table; columns in the order of their first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    numeric = {key for key in columns if any(isinstance(row.get(key), int | float) for row in rows)}
    lines = [
        "| " + " | ".join(key.replace("_", " ") for key in columns) + " |",
        "|" + "|".join("---:" if key in numeric else "---" for key in columns) + "|",
    ]
    lines += ["| " + " | ".join(cell(row.get(key)) for key in columns) + " |" for row in rows]
    return "\n".join(lines)


PROGRAM = """
import importlib, json, sys
module, options = importlib.import_module(sys.argv[1]), json.loads(sys.argv[2])
rows = module.run(**options)
print("\\n" + json.dumps(rows, default=float))
"""


def measure(module: ModuleType, *, quick: bool) -> list[dict[str, Any]]:
    """The rows of a benchmark, run in a process of its own: memory that another one left behind changes the times.

    Raises
    ------
    RuntimeError
        The benchmark failed.
    """
    options = {"quick": quick} if "quick" in inspect.signature(module.run).parameters else {}
    command = [sys.executable, "-c", PROGRAM, module.__name__, json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=HERE.parent)
    if done.returncode:
        raise RuntimeError(f"its process ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def section(name: str, module: ModuleType, rows: list[dict[str, Any]], seconds: float) -> str:
    """One benchmark as a section of the page."""
    title, _, text = inspect.cleandoc(module.__doc__ or name).partition("\n")
    parts = [
        f"## {name}: {title.rstrip('.')}",
        text.strip(),
        table(rows),
        inspect.cleandoc(getattr(module, "NOTES", "")),
    ]
    parts.append(f"Repeat: `.venv/bin/python -m benchmarks {name}` ({seconds:.0f} s).")
    return "\n\n".join(part for part in parts if part)


def main() -> int:
    """Run what was asked for; a full run of everything replaces RESULTS.md."""
    known = benchmarks()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure, and write benchmarks/RESULTS.md."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones; all by default: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="small frames and few rounds: does it work?")
    parser.add_argument(
        "-o", "--output", type=Path, help="where the page goes; RESULTS.md for a full run of everything"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")

    sections, failed = [], []
    for name in options.names or known:
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        try:
            rows = measure(known[name], quick=options.quick)
        except Exception as error:  # noqa: BLE001 - one broken benchmark must not cost the others' results
            failed.append(name)
            print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            sections.append(f"## {name}\n\nFailed: {type(error).__name__}: {error}")
            continue
        sections.append(section(name, known[name], rows, time.perf_counter() - start))
        print(table(rows), flush=True)

    command = "make bench" if not options.names else "python -m benchmarks " + " ".join(options.names)
    page = "\n\n".join(
        [
            "# Measurements",
            f"Repeat: `{command}{' --quick' if options.quick else ''}`. Times of one round vary by some ten percent "
            "on a shared machine; candidates of a table run in turns, and ratios within a table are what counts.",
            f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC{', commit ' + commit() if commit() else ''}\n"
            f"- Machine: {machine()}\n- Versions: {versions()}",
            *sections,
        ]
    )
    target = options.output or (None if options.names or options.quick else RESULTS)
    if target is not None:
        target.write_text(page + "\n")
    ran = len(sections) - len(failed)
    where = f"; results: {target}" if target else "; RESULTS.md is left as it was (-o FILE writes this run)"
    print(f"{ran} benchmarks done, {len(failed)} failed{where}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
