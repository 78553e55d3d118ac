"""The queue of jobs: everything that may be done with it."""

from .daemons import Daemons
from .integrity import Integrity
from .outdated import Outdated
from .people import People
from .pruning import Pruning
from .working import Working


class JobQueue(Daemons, Working, People, Integrity, Outdated, Pruning):
    """Jobs in a table of SQLite or PostgreSQL, which several daemons and people may use at once.

    Made by :meth:`JobQueue.open`. Every method is one transaction: it is durable when the method returns, or nothing
    was changed. ``with queue.batch():`` joins several into one. Methods may be called by any thread; they wait for the
    disk, so an event loop calls them in a thread.

    >>> queue = JobQueue.open("sqlite:////observatory/state/queue.db")
    >>> queue.add([NewJob(key="…", source="camera", chain="photometry", label="0042.fits", path=path)])
    >>> me = queue.register(DaemonFacts.of_this_process())
    >>> for job in queue.claim(me, limit=2):
    ...     queue.finish(job.id, job.token, JobState.DONE, Record(seconds=0.5))
    """
