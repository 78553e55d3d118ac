"""Outdated products: those of earlier runs of an image that its newest run has not made again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sql

from .database import Database
from .database.tables import jobs, products
from .job import Product
from .records import OutdatedProduct

OLD, NEW = jobs.alias("old"), jobs.alias("new")

IN_PLACE = sql.select(products.c.job, jobs.c.place, jobs.c.chain).join_from(products, jobs, products.c.job == jobs.c.id)


class Outdated(Database):
    """What a newer version of a file, or a changed chain, leaves behind."""

    def outdated(self, job_id: int | None = None) -> list[OutdatedProduct]:
        """Products that are in their places, and that the newest run of the same image and chain has not made again.

        A run without products outdates nothing; nor is anything outdated that was made later than the products of the
        newest job, by an older job that was tried again.

        Parameters
        ----------
        job_id : int or None
            Only those of the image and chain of this job; by default all.
        """
        published = IN_PLACE.where(products.c.published == 1, jobs.c.place.is_not(None))
        if job_id is not None:
            same = sql.select(*jobs.c["place", "chain"]).where(jobs.c.id == job_id).subquery()
            published = published.where(jobs.c.place == same.c.place, jobs.c.chain == same.c.chain)
        run = published.subquery()
        newest = sql.select(run.c.place, run.c.chain, sql.func.max(run.c.job).label("job"))
        newest = newest.group_by(run.c.place, run.c.chain)
        last = newest.having(sql.func.max(run.c.job) > sql.func.min(run.c.job)).subquery()
        columns = {
            "old": OLD.c["label", "size", "mtime_ns", "fingerprint", "finished"],
            "new": NEW.c["id", "size", "mtime_ns", "fingerprint"],
        }
        named = [column.label(f"{name}_{column.key}") for name, some in columns.items() for column in some]
        query = (
            sql.select(*products.c["id", "job", "destination", "name", "size"], *named)
            .join_from(last, OLD, sql.and_(OLD.c.place == last.c.place, OLD.c.chain == last.c.chain))
            .join(products, products.c.job == OLD.c.id)
            .join(NEW, NEW.c.id == last.c.job)
            .where(products.c.published == 1, OLD.c.id < last.c.job, OLD.c.finished <= NEW.c.finished)
            .order_by(products.c.job, products.c.position, products.c.id)
        )
        with self.reading() as connection:
            return [_outdated_of(row) for row in connection.execute(query)]

    @contextmanager
    def forgetting(self, product: Product) -> Iterator[bool]:
        """Forget a product, together with what is done within: the name is nobody's when both are done.

        Gives whether the product is still as it was: a newer run may have taken over its name. Nobody can take the name
        meanwhile, and SQLite changes nothing else: remove the file, and no more. If that raises, the product stays.
        """
        column = products.c
        same = (column.id == product.id, column.job == product.job, column.published == 1)
        with self.writing() as connection:
            gone = connection.execute(sql.delete(products).where(*same).returning(column.job)).scalars().all()
            if gone:
                told = sql.update(jobs).where(jobs.c.id == product.job).values(label=jobs.c.label)
                connection.execute(told)  # for those who look at it
            yield bool(gone)


def _outdated_of(row: Any) -> OutdatedProduct:
    product = Product(row.id, row.job, row.destination, row.name, row.size)
    if (row.old_size, row.old_mtime_ns) != (row.new_size, row.new_mtime_ns):
        reason = f"job {row.new_id} has done a newer version of the file"
    elif row.old_fingerprint != row.new_fingerprint:
        reason = f"job {row.new_id} has done the image with a changed chain"
    else:
        reason = f"job {row.new_id} has done the image again, and has not made it"
    return OutdatedProduct(product, row.old_label, row.old_finished, row.new_id, reason)
