"""From the tables of an earlier version to those of this one. A step that was released is never changed."""

from sqlalchemy import Connection

STEPS: dict[int, tuple[str, ...]] = {
    1: (
        "DROP INDEX jobs_to_claim",
        "CREATE INDEX jobs_to_claim ON jobs (state, destination, priority DESC, rank, id, chain, source, not_before, "
        "memory, place) WHERE state = 'queued'",
        "UPDATE jobs SET destination = 'nights: library' WHERE kind = 'masters'",
    ),
}
"""What turns the tables of a version into those of the next one, in SQL that SQLite and PostgreSQL both understand."""


def migrate(connection: Connection, version: int, wanted: int) -> None:
    """Change the tables of a queue, within a transaction of the caller's.

    Parameters
    ----------
    connection : Connection
        To the queue. Nobody else changes its tables meanwhile.
    version, wanted : int
        The version that the tables have, and the one that they are to have.
    """
    for step in range(version, wanted):
        for statement in STEPS[step]:
            connection.exec_driver_sql(statement)
