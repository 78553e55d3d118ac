"""What a daemon with a configuration would do, and what is in the way of it: `serve --check`."""

import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terminal import plural

if TYPE_CHECKING:
    from ...daemon.settings import DestinationSettings, Observatory

Line = tuple[str, str]


def wrong_chains(settings: "Observatory", config: Path) -> list[str]:
    """What is wrong with the chains of an observatory, in its folder as in the daemon; one sentence each."""
    from contextlib import chdir

    from ...daemon.chains import load_chain

    library = None if settings.nights is None else str(settings.nights.library)
    problems: list[str] = []
    with chdir(config.resolve().parent):
        for name, chain in settings.chains.items():
            found = load_chain(name, chain.file, chain.variables, list(chain.set), library)
            problems += found.get("problems", [])
    return list(dict.fromkeys(problems))


def describe(settings: "Observatory", port: int | None = None) -> tuple[list[Line], list[str]]:
    """What would be done, with the page on another port if one is given.

    Returns
    -------
    lines : list of (str, str)
        A title and a sentence each.
    warnings : list of str
        What is not in order at the moment.
    """
    lines: list[Line] = []
    warnings: list[str] = []
    for source in settings.sources:
        lines.append(("source", f"{source.name}: {where_from(source)}, {which_chain(source)}"))
        warnings += [*_folder_problems(source), *_missing_modules(source)]
    for name, chain in settings.chains.items():
        details = f"{chain.order} first, {plural(chain.attempts, 'attempt')}, products to {chain.destination}"
        lines.append(("chain", f"{name}: {chain.file}; {details}"))
    for name, destination in settings.destinations.items():
        lines.append(("destination", f"{name}: {destination.url}"))
        warnings += _unwritable(destination)
    if settings.nights is not None:
        again = "; science frames are done again with better masters" if settings.nights.reprocess else ""
        lines.append(("nights", f"masters in {settings.nights.library}{again}"))
        warnings += _not_writable(settings.nights.library, "library of masters")
    queue_line, problems = _queue(settings)
    lines += [("queue", queue_line), ("workers", _workers(settings)), ("page", _page(settings, port)), _log(settings)]
    warnings += [*problems, *_not_writable(settings.state, "folder of the daemon")]
    return lines, warnings


def where_from(source: Any) -> str:
    """Where the images of a source come from."""
    from ...daemon.settings import IntervalSource, MqttSource, NatsSource, UploadSource, WatchSource

    match source:
        case WatchSource():
            below = ", and folders within it" if source.recursive else ""
            names = f", {' '.join(source.patterns)}" if source.patterns else ""
            return f"files in {source.watch}{below}{names}"
        case UploadSource():
            return f"uploads to /api/upload/{source.name}"
        case IntervalSource():
            return f"every {source.interval:g} s"
        case MqttSource():
            return f"messages about {source.topic} from {source.mqtt}"
        case NatsSource():
            return f"messages about {source.subject} from {source.nats}"
    raise TypeError(f"{type(source).__name__} is no source")


def which_chain(source: Any) -> str:
    """The chains that its images may take."""
    if source.chain is not None:
        return f"through {source.chain}"
    names = dict.fromkeys(choice.chain or "left alone" for choice in source.choose)
    return f"by header: {', '.join(names)}"


def _folder_problems(source: Any) -> list[str]:
    folders = [source.watch] if getattr(source, "watch", None) else list(getattr(source, "roots", ()))
    problems = []
    for folder in folders:
        if not folder.is_dir():
            problems.append(f"source {source.name}: there is no folder {folder}")
        elif not os.access(folder, os.R_OK | os.X_OK):
            problems.append(f"source {source.name}: {folder} cannot be read by this user")
    secret = getattr(source, "password_file", None)
    if secret is not None and not os.access(secret, os.R_OK):
        problems.append(f"source {source.name}: the password file {secret} cannot be read")
    return problems


def _missing_modules(source: Any) -> list[str]:
    """What a source needs besides, and is not installed."""
    from importlib.util import find_spec

    needed = {"mqtt": "paho", "nats": "nats"}
    return [
        f"source {source.name}: its client library is not installed: pip install 'etendue[{kind}]'"
        for kind, module in needed.items()
        if hasattr(source, kind) and find_spec(module) is None
    ]


def _unwritable(destination: "DestinationSettings") -> list[str]:
    if "://" in destination.url:
        import fsspec

        try:
            fsspec.get_filesystem_class(destination.url.partition("://")[0])
        except (ImportError, ValueError) as error:
            return [f"destination {destination.url}: {error}; the daemon would not start"]
        return []
    return _not_writable(Path(destination.url), "destination")


def _not_writable(folder: Path, what: str) -> list[str]:
    """Whether files can be written to a folder, or it can be made; tried out where it is there."""
    if folder.exists() and not folder.is_dir():
        return [f"{what} {folder}: this is a file"]
    if not folder.exists():
        parent = next(each for each in folder.parents if each.exists())
        return [] if os.access(parent, os.W_OK | os.X_OK) else [f"{what} {folder}: it cannot be made in {parent}"]
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".etendue-check-") as file:
            file.write(b"\0" * 4096)
            file.flush()
    except OSError as error:
        return [f"{what} {folder}: cannot be written to: {error.strerror or error}"]
    return []


def _queue(settings: "Observatory") -> tuple[str, list[str]]:
    """The queue and what is in it; it is not made for this."""
    from ....images import EtendueError
    from ...daemon.configuration import queue_url
    from ...daemon.queue import JobQueue
    from ...daemon.queue.errors import NoQueueYet

    url = queue_url(settings)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return f"{without_password(url)}, to be made", []
    try:
        with closing(JobQueue.open(url, create=False)) as queue:
            counts = ", ".join(f"{count} {state}" for state, count in queue.counts().items() if count)
    except NoQueueYet:
        return f"{without_password(url)}, to be made", []
    except EtendueError as error:
        return without_password(url), [str(error)]
    return f"{without_password(url)}: {counts or 'empty'}", []


def without_password(url: str) -> str:
    """An address that may be shown."""
    scheme, sign, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{sign}{user.partition(':')[0]}{at}{host}"


def _workers(settings: "Observatory") -> str:
    from ...daemon.sizes import spell_size

    workers = settings.workers
    count = "one for each core" if workers.count is None else str(workers.count)
    memory = "60 % of what is free" if workers.memory is None else spell_size(workers.memory)
    return f"{count}; memory for images in work: {memory}"


def _page(settings: "Observatory", port: int | None) -> str:
    web = settings.web
    if not web.enabled:
        return "none"
    who = f"with tokens of {', '.join(entry.name for entry in web.tokens)}" if web.tokens else "from this machine only"
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"http://{host}:{web.port if port is None else port}/, {who}"


def _log(settings: "Observatory") -> Line:
    log = settings.log
    return "log", f"{log.level} and above" + (f", also to {log.file}" if log.file is not None else "")
