"""What the queue may refuse, and why."""

from ....images import EtendueError, TransientError
from ...errors import ConfigError


class QueueError(EtendueError):
    """Root of what the queue raises."""


class QueueBusyError(QueueError, TransientError):
    """The queue cannot be used now: somebody else has locked it, or its server cannot be reached. Nothing was changed.

    Where a connection broke while a change was being committed, it cannot be known whether it was: every method that
    the daemon calls may be called again with the same arguments.
    """


class NoQueueYet(QueueError, ConfigError):
    """The database has no tables of ours: no daemon has been started with it so far."""


class QueueStorageError(QueueBusyError):
    """The queue's disk is full, read-only, broken or gone. Nothing was changed."""


class Collision(QueueBusyError):
    """Somebody else has made the same row at the same moment. Nothing was changed; it will work when tried again."""


class UnknownJob(QueueError, LookupError):
    """There is no such job.

    Attributes
    ----------
    job : int
        Its number.
    """

    def __init__(self, job: int) -> None:
        super().__init__(f"there is no job {job} in the queue")
        self.job = job


class UnknownProduct(QueueError, LookupError):
    """There is no such product.

    Attributes
    ----------
    product : int
        Its number.
    """

    def __init__(self, product: int) -> None:
        super().__init__(f"there is no product {product} in the queue")
        self.product = product


class UnknownDaemon(QueueError, LookupError):
    """The queue knows no such daemon: others have taken it for dead, and its jobs with it. It must register anew.

    Attributes
    ----------
    daemon : str
        Its name in the queue.
    """

    def __init__(self, daemon: str) -> None:
        super().__init__(f"the queue does not know the daemon {daemon}, or no longer: others have taken it for dead")
        self.daemon = daemon


class LostLease(QueueError):
    """The job belongs to somebody else by now, or to nobody. Nothing was changed.

    Attributes
    ----------
    job : int
        Its number.
    """

    def __init__(self, job: int, what: str) -> None:
        super().__init__(f"job {job} is not ours any more: {what}")
        self.job = job


class NameTaken(QueueError):
    """Another job has a product of this name.

    Attributes
    ----------
    name : str
        Name of the product.
    job : int
        The job that it belongs to.
    label : str
        That job's input.
    same_content : bool
        Whether both inputs have the same content.
    newer : bool
        Whether it is a job of the same input and chain, for a version of the file that came later.
    """

    def __init__(
        self, name: str, job: int, *, same_content: bool = False, label: str = "", newer: bool = False
    ) -> None:
        if newer:
            message = f"replaced by a newer file (job {job})"
        elif same_content:
            message = f"the same file as {label} (job {job})"
        else:
            message = (
                f"the product {name} exists already: it was made of {label} (job {job}); "
                "let the chain name its products by something that tells the images apart"
            )
        super().__init__(message)
        self.name, self.job, self.label = name, job, label
        self.same_content, self.newer = same_content, newer
