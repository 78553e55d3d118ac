"""``python -m tests.chaos``: torment the daemon at full size, and write what came of it to docs/reliability.md."""

import argparse
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from .case import Row, Setting
from .cases import CASES
from .kills import torment_several
from .observatory import ROOT

PAGE = ROOT / "docs" / "reliability.md"
RESULTS = re.compile(r"(<!-- results: written by make chaos -->\n).*?(<!-- end of results -->)", re.DOTALL)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="kill -9 so often (1000)")
    parser.add_argument("--images", type=int, default=2000, help="images that come in meanwhile (2000)")
    parser.add_argument("--observatories", type=int, default=3, help="so many daemons are killed side by side (3)")
    parser.add_argument("--seed", type=int, help="of the random choices; printed, and new for each run by default")
    parser.add_argument(
        "--only", nargs="*", metavar="CASE", help=f"only these: kills {' '.join(c.name for c in CASES)}"
    )
    parser.add_argument("--quick", action="store_true", help="the other cases at small size")
    parser.add_argument("--folder", type=Path, help="work here, and leave everything to be looked at")
    parser.add_argument("-o", "--output", type=Path, help=f"the page; {PAGE.relative_to(ROOT)} for a full run")
    return parser.parse_args()


def main() -> int:
    """Run what was asked for; 1 if anything was lost, doubled, half-written or wrong."""
    options = arguments()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**9)
    wanted = options.only or ["kills", *(case.name for case in CASES)]
    if unknown := set(wanted) - {"kills", *(case.name for case in CASES)}:
        print(f"there is no case {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    begin = time.monotonic()
    rows: list[Row] = []
    failed: list[str] = []
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="etendue-chaos-", ignore_cleanup_errors=True) as temporary:
        base = options.folder or Path(temporary)
        for case in CASES:
            if case.name not in wanted:
                continue
            if lacking := case.lacking():
                rows.append(Row(case.name, f"not tried: {lacking}"))
                print(f"{case.name}: not tried: {lacking}")
                continue
            started = time.monotonic()
            print(f"{case.name} ...")
            folder = base / case.name
            folder.mkdir(parents=True)
            try:
                found = case.run(Setting(folder, full=not options.quick, rng=random.Random(seed)))
            except Exception as error:  # noqa: BLE001 - the other cases are tried whatever becomes of this one
                traceback.print_exc()
                failed.append(case.name)
                found = [Row(case.name, f"**failed**: {error}")]
            rows += found
            for row in found:
                print(f"  {row.what}: {row.outcome}")
            print(f"  ({time.monotonic() - started:.0f} s)")
        if "kills" in wanted:
            where = f"{options.observatories} observatories side by side"
            print(f"kills: {options.kills} of daemons and workers, {options.images} images, {where} ...")
            (base / "kills").mkdir(parents=True)
            try:
                numbers = {"kills": options.kills, "images": options.images, "seed": seed}
                killed = torment_several(base / "kills", options.observatories, **numbers, tell=_tell)
            except Exception as error:  # noqa: BLE001 - it is reported, with what was found before
                traceback.print_exc()
                failed.append("kills")
                rows.append(Row("kills", f"**failed**: {error}"))
            else:
                if not killed.sound:
                    failed.append("kills")
                what = f"`kill -9`, {killed.daemon} times of the daemon and {killed.worker} times of its workers"
                rows.insert(0, Row(f"{what}, while {options.images} images come into {where}", str(killed)))
                print(f"  {killed}")
    seconds = time.monotonic() - begin
    page = options.output or (PAGE if not (options.only or options.quick or failed) else None)
    if page is not None:
        write(page, rows, seed, seconds)
        print(f"Written: {page}")
    print(
        f"{len(rows)} results in {seconds / 60:.0f} min; " + (f"FAILED: {', '.join(failed)}" if failed else "all sound")
    )
    return 1 if failed else 0


def _tell(text: str) -> None:
    print(f"  {datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def write(page: Path, rows: list[Row], seed: int, seconds: float) -> None:
    """Put the table into the page, between its marks.

    Raises
    ------
    ValueError
        The page has no marks.
    """
    text = page.read_text()
    if not RESULTS.search(text):
        raise ValueError(f"{page} has no place for the results")
    lines = [
        f"Last full run: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {seconds / 60:.0f} minutes on "
        f"{len(os.sched_getaffinity(0))} cores ({platform.system()} {platform.release()}), seed {seed}.",
        "",
        "| what is done to the daemon | what comes of it |",
        "|---|---|",
        *(f"| {_cell(row.what)} | {_cell(row.outcome)} |" for row in rows),
        "",
    ]
    page.write_text(RESULTS.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def commit() -> str:
    """The commit that is tormented."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    raise SystemExit(main())
