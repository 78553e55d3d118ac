"""After a night of torment: is every image there once, whole and right, or visibly failed?"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from etendue.images import Image

from .observatory import PRODUCTS, Observatory

OPEN = ("waiting", "queued", "running")

MARK = ".etendue/id"
"""By which the daemon knows its destination again."""


@dataclass
class Verdict:
    """What became of images. All lists must be empty, `failed` excepted."""

    images: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Visible failures: name of the file and error."""
    lost: list[str] = field(default_factory=list)
    """Images with neither products nor a visible failure."""
    doubled: list[str] = field(default_factory=list)
    """Images that were done twice."""
    wrong: list[str] = field(default_factory=list)
    """Products that are half-written, or other than what the chain makes inline."""
    left: list[str] = field(default_factory=list)
    """Files in the destination that are nobody's product."""
    database: list[str] = field(default_factory=list)
    """What the integrity check of the queue has found."""

    @property
    def sound(self) -> bool:
        """Whether nothing is lost, doubled, wrong or left over."""
        return not (self.lost or self.doubled or self.wrong or self.left or self.database)

    def add(self, other: "Verdict", prefix: str = "") -> None:
        """Count what became of further images; names get a prefix."""
        self.images += other.images
        self.done += other.done
        self.failed |= {prefix + name: error for name, error in other.failed.items()}
        for name in ("lost", "doubled", "wrong", "left", "database"):
            getattr(self, name).extend(prefix + found for found in getattr(other, name))

    def __str__(self) -> str:
        text = f"{self.images} images: {self.done} done, {len(self.failed)} visible failures"
        for name in ("lost", "doubled", "wrong", "left", "database"):
            found = getattr(self, name)
            text += f", {len(found)} {name}" if name != "database" else f", {len(found)} problems of the database"
            text += f" ({'; '.join(found[:5])})" if found else ""
        if self.failed:
            name, error = next(iter(self.failed.items()))
            text += f"; first failure: {name}: {error}"
        return text


def verify(
    observatory: Observatory,
    frames: Mapping[Path, int],
    truth: Path,
    *,
    chain: str = "reduce",
    stems: Mapping[Path, str] | None = None,
    products: Path | None = None,
) -> Verdict:
    """Compare what is there with what must be there, when nothing is open any more and no daemon runs.

    Parameters
    ----------
    observatory : Observatory
        Where to look.
    frames : mapping of Path to int
        Files that were put in, and the numbers of their content.
    truth : Path
        Folder with what the chain makes of each file inline.
    chain : str
        Name of the chain.
    stems : mapping of Path to str
        Stems of products, where they are not those of the files.
    products : Path
        The destination of the chain; that of the observatory by default.
    """
    destination = products or observatory.products
    verdict = Verdict(len(frames))
    known: dict[Path, list] = {}
    for job in observatory.jobs(chain=chain):
        if job.path is not None:
            known.setdefault(job.path, []).append(job)
    wanted: set[str] = set()
    for path, number in frames.items():
        jobs = known.get(path, [])
        states = [str(job.state) for job in jobs]
        if any(state in OPEN for state in states):
            verdict.lost.append(f"{path.name} is still {', '.join(states)}")
        elif states.count("done") + states.count("failed") > 1:
            verdict.doubled.append(f"{path.name} has {len(jobs)} jobs: {', '.join(states)}")
        elif states.count("failed") == 1:
            (job,) = (job for job in jobs if job.state == "failed")
            if job.error or job.reason:
                verdict.failed[path.name] = job.error or job.reason
            else:
                verdict.lost.append(f"{path.name} failed without a word")
        elif states.count("done") == 1:
            verdict.done += 1
            stem = stems[path] if stems else path.name.removesuffix(".fits")
            names = [name.format(stem=stem) for name in PRODUCTS]
            wanted.update(names)
            (job,) = (job for job in jobs if job.state == "done")
            recorded = sorted(product.name for product in observatory.queue.products(job.id))
            if recorded != sorted(names):
                verdict.wrong.append(f"{path.name}: the queue knows the products {recorded}")
            for name in names:
                problem = differs(destination / name, truth / name, number)
                if problem:
                    verdict.wrong.append(f"{name} {problem}")
        else:
            verdict.lost.append(f"{path.name} has {', '.join(states) or 'no job'}")
    verdict.left = leftovers(destination, wanted)
    verdict.database = database_problems(observatory)
    return verdict


def differs(product: Path, truth: Path, number: int | None = None) -> str:
    """How a product differs from the truth; empty if it does not. Names, pixels, mask and catalogue are compared."""
    if not product.is_file():
        return "is not there"
    try:
        if product.name.endswith("_cat.fits"):
            return differing_tables(Table.read(product), Table.read(truth))
        made, right = Image.from_file(product), Image.from_file(truth)
    except Exception as error:  # noqa: BLE001 - whatever a reader says of a half-written file
        return f"cannot be read: {type(error).__name__}: {error}"
    if number is not None and made.header.get("SERIAL") != number:
        return f"is made of frame {made.header.get('SERIAL')}, not of {number}"
    for plane in ("safe_data", "safe_mask", "safe_uncertainty"):
        ours, theirs = getattr(made, plane), getattr(right, plane)
        if (ours is None) != (theirs is None):
            return f"has no {plane[5:]}, or should have none"
        if ours is not None and not np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
            return f"has other {plane[5:]} than what the chain makes inline"
    if (made.safe_catalog is None) != (right.safe_catalog is None):
        return "has no catalogue, or should have none"
    return differing_tables(made.catalog, right.catalog) if made.safe_catalog is not None else ""


def differing_tables(made: Table, right: Table) -> str:
    """How two catalogues differ; empty if they do not."""
    if made.colnames != right.colnames:
        return f"has the columns {made.colnames}"
    if len(made) != len(right):
        return f"has {len(made)} sources, not {len(right)}"
    for name in made.colnames:
        ours, theirs = np.ma.filled(np.ma.asarray(made[name])), np.ma.filled(np.ma.asarray(right[name]))
        if not np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
            return f"has other values in column {name} than what the chain makes inline"
    return ""


def leftovers(destination: Path, wanted: set[str]) -> list[str]:
    """Files below a destination that nobody wants: doubled products, parts, and what staging has left."""
    found = []
    for path in sorted(destination.rglob("*")):
        name = path.relative_to(destination).as_posix()
        if path.is_file() and name not in wanted and name != MARK:
            found.append(name)
        elif path.is_dir() and path.parent.name == "staging":
            found.append(f"{name}/")
    return found


def database_problems(observatory: Observatory) -> list[str]:
    """What the queue's own check finds, and for SQLite the database's, asked without our own code."""
    problems = list(observatory.queue.check())
    if observatory.url.startswith("sqlite:///"):
        connection = sqlite3.connect(observatory.url.removeprefix("sqlite:///"))
        try:
            problems += [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            problems += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        finally:
            connection.close()
    return problems


def half_written(destination: Path) -> list[str]:
    """Files under final names that cannot be read to their end, while the daemon may be working."""
    found = []
    for path in destination.glob("*.fits"):
        try:
            with fits.open(path, memmap=False) as units:
                for unit in units:
                    unit.verify("exception")
                    _ = unit.data
            if path.stat().st_size % 2880:
                found.append(path.name)
        except FileNotFoundError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever a reader says of a half-written file
            found.append(f"{path.name}: {error}")
    return found
