"""Read ``observatory.yaml``, with every problem at its line."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..config.document import builtin_chains
from ..config.nodes import ListNode, MapNode, Mark, Node, ScalarNode, SyntaxProblem, plain, read_tree
from ..config.problems import Problems, did_you_mean
from ..config.wording import in_words
from ..errors import ConfigError
from .settings import SOURCE_KINDS, SOURCES, Observatory

QUEUE_FILE = "queue.db"


def load_observatory(path: str | Path) -> Observatory:
    """The configuration in a file; relative paths are made absolute from the folder of the file.

    Raises
    ------
    ConfigError
        With all problems, one line each: ``file:line:column: where: what``.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file in UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    return parse_observatory(text, filename=str(path), base=path.resolve().parent)


def parse_observatory(text: str, *, filename: str = "<text>", base: Path | None = None) -> Observatory:
    """The configuration in a text; see :func:`load_observatory`."""
    try:
        root = read_tree(text, filename)
    except SyntaxProblem as problem:
        raise ConfigError(f"{problem.mark}: {problem.message}") from None
    if not isinstance(root, MapNode):
        raise ConfigError(f"{root.mark}: this is no observatory; it begins with 'chains:' and 'sources:'")
    if "steps" in root.entries:
        raise ConfigError(
            f"{root.marks['steps']}: this is a chain, not an observatory; name it under 'chains:' of an observatory"
        )
    problems = Problems()
    try:
        settings = Observatory.model_validate(plain(root))
    except ValidationError as error:
        for detail in error.errors():
            _note(detail, root, problems)
        problems.raise_if_any()
        raise
    made = _absolute(settings, base or Path.cwd())
    _check_chain_files(made, root, problems)
    problems.raise_if_any()
    return made


def queue_url(settings: Observatory) -> str:
    """Where the queue is: the database that is configured, or a file in the folder of the daemon."""
    return settings.queue.url or f"sqlite:///{settings.state / QUEUE_FILE}"


def _note(error: ErrorDetails, root: MapNode, problems: Problems) -> None:
    """Note one of pydantic's errors where its cause is written."""
    if error["type"] == "unknown_name":
        for path, message in error["ctx"]["places"]:  # type: ignore[typeddict-item]
            mark, where, _ = _place(path, root)
            problems.add(mark, where, message)
        return
    location = tuple(part for index, part in enumerate(error["loc"]) if not _is_tag(error["loc"], index))
    if error["type"] == "extra_forbidden":
        mark, where, _ = _place(location, root)
        key = str(location[-1])
        problems.add(mark, where.rpartition(".")[0], f"unknown key '{key}'{did_you_mean(key, _known(error))}")
        return
    mark, where, _ = _place(location[:-1] if error["type"] == "missing" else location, root)
    match error["type"]:
        case "missing":
            message = f"'{location[-1]}' is missing"
        case "source":
            message = error["msg"]
        case _:
            message = in_words(error)
    problems.add(mark, where, message)


def _is_tag(location: tuple[int | str, ...], index: int) -> bool:
    """Whether a part of a location is the kind of a source, which pydantic puts after its number."""
    return index == 2 and location[0] == "sources" and location[2] in SOURCE_KINDS and len(location) > 2


def _known(error: ErrorDetails) -> list[str]:
    """The keys that could have been meant by an unknown one."""
    from pydantic import BaseModel

    from ..config.build import _model_in

    here: Any = Observatory
    for part in error["loc"][:-1]:
        if part in SOURCES:
            here = SOURCES[str(part)]
        elif isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            field = here.model_fields[str(part)]
            here = _model_in(field.annotation) or _model_in(tuple(field.metadata)) or here
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _place(location: tuple[int | str, ...], root: MapNode) -> tuple[Mark, str, Node]:
    """Where a location is written, and what it is called."""
    here: Node = root
    mark, label = root.mark, []
    for part in location:
        if isinstance(here, MapNode) and part in here.entries:
            mark, here = here.marks[str(part)], here.entries[str(part)]
            label.append(str(part))
        elif isinstance(here, ListNode) and isinstance(part, int) and part < len(here.items):
            here = here.items[part]
            mark = here.mark
            label.append(str(part + 1))
    return mark, ".".join(label), here


def _absolute(settings: Observatory, base: Path) -> Observatory:
    """The settings with all paths absolute."""

    def at(path: Path) -> Path:
        return base / path.expanduser()

    sources = []
    for source in settings.sources:
        update: dict[str, Any] = {}
        for name in ("watch", "password_file"):
            if isinstance(found := getattr(source, name, None), Path):
                update[name] = at(found)
        if roots := getattr(source, "roots", ()):
            update["roots"] = tuple(at(root) for root in roots)
        sources.append(source.model_copy(update=update))
    destinations = {
        name: one if "://" in one.url else one.model_copy(update={"url": str(at(Path(one.url)))})
        for name, one in settings.destinations.items()
    }
    chains = {
        name: one.model_copy(update={"file": _chain_file(one.file, base)}) for name, one in settings.chains.items()
    }
    nights = settings.nights and settings.nights.model_copy(update={"library": at(settings.nights.library)})
    log = settings.log.model_copy(update={"file": settings.log.file and at(settings.log.file)})
    update = {
        "state": at(settings.state),
        "sources": tuple(sources),
        "destinations": destinations,
        "chains": chains,
        "nights": nights,
        "log": log,
    }
    url = settings.queue.url
    if url is not None and url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        path = at(Path(url.removeprefix("sqlite:///")))
        update["queue"] = settings.queue.model_copy(update={"url": f"sqlite:///{path}"})
    return settings.model_copy(update=update)


def _chain_file(name: str, base: Path) -> str:
    """A file of the user's goes before a built-in chain of that name."""
    path = base / Path(name).expanduser()
    return str(path) if path.is_file() or name not in builtin_chains() else name


def _check_chain_files(settings: Observatory, root: MapNode, problems: Problems) -> None:
    for name, chain in settings.chains.items():
        if chain.file in builtin_chains() or Path(chain.file).is_file():
            continue
        _, _, node = _place(("chains", name, "file"), root)
        mark = node.mark if isinstance(node, ScalarNode) else _place(("chains", name), root)[0]
        hint = did_you_mean(Path(chain.file).name, builtin_chains())
        problems.add(
            mark, f"chains.{name}", f"there is no chain file '{chain.file}', and no built-in chain of that name{hint}"
        )
