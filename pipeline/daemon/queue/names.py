"""Names of products: whose they are, from the moment at which a job lists them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from .database.paths import digest_of
from .database.rows import parts
from .database.tables import jobs, products
from .errors import NameTaken
from .job import JobState, Piece

INSERT = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(products)
    .on_conflict_do_nothing()
    .returning(products.c.destination, products.c.digest)
    for dialect in (sqlite, postgresql)
}

OWNER = (
    sql.select(
        products.c.id.label("product"), products.c.published, *jobs.c["id", "place", "chain", "label", "checksum"]
    )
    .join_from(products, jobs, products.c.job == jobs.c.id)
    .where(products.c.destination == bindparam("where"), products.c.digest == bindparam("name"))
    .with_for_update(of=products)
)

NEWER = sql.select(*jobs.c["id", "size", "mtime_ns", "state"]).where(
    jobs.c.place == bindparam("here"), jobs.c.chain == bindparam("of"), jobs.c.id > bindparam("after")
)

PUBLISHED = (
    sql.update(products)
    .where(products.c.job == bindparam("of"), products.c.published == 0)
    .values(published=1, earlier=None)
)


def refuse_outdated(connection: Connection, job_id: int, row: Any, manifest: Sequence[Piece]) -> None:
    """Refuse products of an older version of a file whose newer version is done.

    Raises
    ------
    NameTaken
        It is.
    """
    if row.place is None or not manifest:
        return
    for other in connection.execute(NEWER, {"here": row.place, "of": row.chain, "after": job_id}):
        if other.state is JobState.DONE and (other.size, other.mtime_ns) != (row.size, row.mtime_ns):
            raise NameTaken(manifest[0].name, other.id, label=row.label, newer=True)


def take_names(connection: Connection, job_id: int, row: Any, manifest: Sequence[Piece], checksum: str) -> None:
    """Enter the names of products as those of a job.

    Raises
    ------
    NameTaken
        One of them belongs to another input.
    """
    if not manifest:
        return
    pieces = {(one.destination, digest_of(one.name)): (number, one) for number, one in enumerate(manifest)}
    rows = [
        {
            "job": job_id,
            "destination": destination,
            "digest": digest,
            "name": piece.name,
            "size": piece.size,
            "position": number,
        }
        # In the same order everywhere: two transactions that wait for each other's names would wait for ever.
        for (destination, digest), (number, piece) in sorted(pieces.items())
    ]
    ours = set()
    for some in parts(rows):
        ours |= {
            (taken.destination, taken.digest) for taken in connection.execute(INSERT[connection.dialect.name], some)
        }
    for key in sorted(set(pieces) - ours):
        owner = connection.execute(OWNER, {"where": key[0], "name": key[1]}).one()
        number, piece = pieces[key]
        _take_over(connection, owner, job_id, row, number, piece, checksum)


def _take_over(
    connection: Connection, owner: Any, job_id: int, row: Any, number: int, piece: Piece, checksum: str
) -> None:
    """Enter a name that is somebody else's, if that is an earlier job for the same input and chain."""
    if owner.id != job_id:
        same_input = row.place is not None and (owner.place, owner.chain) == (row.place, row.chain)
        if not same_input or not owner.published:
            same = same_input or (bool(checksum) and owner.checksum == checksum)
            raise NameTaken(piece.name, owner.id, same_content=same, label=owner.label)
    values = {"job": job_id, "size": piece.size, "position": number, "published": 0}
    if owner.id != job_id:
        values["earlier"] = owner.id
    connection.execute(sql.update(products).where(products.c.id == owner.product).values(values))


def publish_names(connection: Connection, job_id: int) -> None:
    """The products of a job are in their places."""
    connection.execute(PUBLISHED, {"of": job_id})


def withdraw_names(connection: Connection, job_id: int) -> None:
    """Forget names that were listed but not published; replaced ones are again those of the earlier job."""
    ours = sql.and_(products.c.job == job_id, products.c.published == 0)
    back = {"job": products.c.earlier, "earlier": None, "published": 1}
    connection.execute(sql.update(products).where(ours, products.c.earlier.is_not(None)).values(back))
    connection.execute(sql.delete(products).where(ours))
