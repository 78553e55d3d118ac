"""What ``observatory.yaml`` says: sources, chains, destinations, nights, queue, workers, page.

Relative paths are relative to the folder of the file; :func:`etendue.pipeline.daemon.configuration.load_observatory`
makes them absolute.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ..conditions import Condition
from ..config.problems import did_you_mean
from ..durations import Duration
from ..night.frame_types import FrameRule
from ..night.settings import MasterKind
from .queue.job import Order
from .sizes import ByteSize

PositiveDuration = Annotated[Duration, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
"""Names appear in addresses and file names."""

TokenHash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChainSettings(_Part):
    """A chain, and how its jobs are treated."""

    file: str = Field(description="file of the chain, or the name of a built-in one")
    variables: dict[str, Any] = Field({}, description="values of the chain's `vars`")
    set: tuple[str, ...] = Field((), description="overrides: steps.SepSourceDetection.threshold=3")
    order: Order = Field("oldest", description="which image goes first: oldest for archives, newest for guiding")
    priority: int = Field(0, description="chains of higher priority go first")
    attempts: PositiveInt = Field(3, description="how often an image is tried in all")
    backoff: PositiveDuration = Field(
        2.0, description="wait before the second attempt; doubled before each further one"
    )
    timeout: PositiveDuration | None = Field(None, description="longest time for one image")
    memory: ByteSize | None = Field(None, description="memory that one image takes; estimated from its file by default")
    destination: Name = Field("products", description="where products go")


def _chain(given: Any) -> Any:
    return {"file": given} if isinstance(given, str) else given


class Choice(_Part):
    """A chain for images whose header fulfils a condition."""

    when: Condition | None = Field(None, description="header tests that must all hold; none: every image")
    chain: Name | None = Field(description="name of the chain; null: such images are left alone")


class _Source(_Part):
    name: Name | None = Field(None, description="what the source is called; its folder or address by default")
    chain: Name | None = Field(None, description="name of the chain for everything that comes from here")
    choose: tuple[Choice, ...] = Field((), description="chains by header; the first choice that holds counts")
    destination: Name | None = Field(None, description="where products go; the chain's destination by default")
    nights: bool = Field(True, description="whether frames take part in nights, if nights are configured")

    @model_validator(mode="after")
    def _check_choice(self) -> "_Source":
        if (self.chain is None) == (not self.choose):
            raise ValueError("give either 'chain', or 'choose' with chains by header")
        return self


class WatchSource(_Source):
    """Files that appear in a folder."""

    watch: Path = Field(description="the folder")
    recursive: bool = Field(True, description="also folders within it")
    patterns: tuple[str, ...] = Field(
        (), description="names of files that count: *.fits; all known suffixes by default"
    )
    ignore: tuple[str, ...] = Field((), description="names of files and folders that do not count")
    settle: PositiveDuration = Field(2.0, description="a file counts when it has not changed for so long")
    scan: PositiveDuration = Field(30.0, description="the folder is searched anew so often, whatever events say")
    follow_links: bool = Field(False, description="also take what symbolic links point to outside the folder")


class UploadSource(_Source):
    """Files that are sent by HTTP."""

    upload: Name = Field(description="name of the upload: POST /api/upload/NAME?filename=…")
    limit: ByteSize = Field(512_000_000, description="largest file")
    timeout: PositiveDuration = Field(120.0, description="longest time for one upload")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"name": given["upload"], **given} if isinstance(given, dict) and "upload" in given else given


class IntervalSource(_Source):
    """A chain that runs again and again, on an empty image: it begins with a step that fetches one."""

    interval: PositiveDuration = Field(description="time between two runs")


class _MessageSource(_Source):
    roots: tuple[Path, ...] = Field((), description="folders below which a message may name a file")
    urls: tuple[str, ...] = Field(
        (), description="beginnings of addresses that a message may name: https://archive.org/"
    )
    limit: ByteSize = Field(512_000_000, description="largest file that is downloaded")
    timeout: PositiveDuration = Field(120.0, description="longest time for one download")
    path_key: str = Field("path", description="key of the path or address, where messages are JSON")
    password_file: Path | None = Field(None, description="file with the password; the user stands in the address")

    @model_validator(mode="after")
    def _check_places(self) -> "_MessageSource":
        if not self.roots and not self.urls:
            raise ValueError("say where messages may point to: 'roots' (folders) or 'urls' (beginnings of addresses)")
        return self


class MqttSource(_MessageSource):
    """Messages of an MQTT broker, each naming a new image."""

    mqtt: str = Field(description="the broker: mqtt://user@host:1883, mqtts:// for TLS", pattern=r"^mqtts?://")
    topic: str = Field(description="topic, with + and # as usual")


class NatsSource(_MessageSource):
    """Messages of a NATS server, each naming a new image."""

    nats: str = Field(description="the server: nats://user@host:4222, tls:// for TLS", pattern=r"^(nats|tls)://")
    subject: str = Field(description="subject, with * and > as usual")
    stream: str | None = Field(
        None,
        description="JetStream stream: messages that come while the daemon is away are kept there, and none is lost",
    )


SOURCES: dict[str, type[_Source]] = {
    "watch": WatchSource,
    "upload": UploadSource,
    "interval": IntervalSource,
    "mqtt": MqttSource,
    "nats": NatsSource,
}
SOURCE_KINDS = tuple(SOURCES)


def _kind_of(given: Any) -> str:
    keys = given if isinstance(given, dict) else vars(given)
    found = [kind for kind in SOURCE_KINDS if kind in keys]
    return found[0] if len(found) == 1 else "unknown"


Source = Annotated[
    Annotated[WatchSource, Tag("watch")]
    | Annotated[UploadSource, Tag("upload")]
    | Annotated[IntervalSource, Tag("interval")]
    | Annotated[MqttSource, Tag("mqtt")]
    | Annotated[NatsSource, Tag("nats")],
    Discriminator(
        _kind_of,
        custom_error_type="source",
        custom_error_message=f"a source has exactly one of the keys {', '.join(SOURCE_KINDS)}",
    ),
]


class DestinationSettings(_Part):
    """Where products go: a folder, or anything that fsspec writes."""

    url: str = Field(description="a folder, or an address that fsspec knows: s3://bucket/reduced")
    options: dict[str, Any] = Field({}, description="options of the file system, as fsspec has them")

    @field_validator("url")
    @classmethod
    def _without_password(cls, url: str) -> str:
        """The address is shown; options are not."""
        if "://" in url and ":" in url.partition("://")[2].partition("/")[0].rpartition("@")[0]:
            raise ValueError(  # which is told without the value
                "the address is shown on the page and in the log, and must hold no password: give it as an option "
                "(options: {password: …}), or let the server know a key"
            )
        return url


def _destination(given: Any) -> Any:
    return {"url": given} if isinstance(given, str) else given


class MastersSettings(_Part):
    """When masters are built, and what waits for them."""

    complete: dict[MasterKind, PositiveInt] = Field(
        {}, description="frames of a kind with which a group is complete: {bias: 10, dark: 10, flat: 7}"
    )
    fewest: dict[MasterKind, PositiveInt] = Field({}, description="fewest frames of which a master is made; 3 each")
    deadline: PositiveDuration = Field(
        900.0, description="a group counts as complete when so much time has passed since its last frame came in"
    )
    wait: Duration = Field(7200.0, description="longest time for which a science frame waits for masters of its night")
    policy: Literal["nearest", "fail"] = Field(
        "nearest", description="after that: take the nearest masters of the library, or let the frame fail"
    )
    bad_pixels: bool = Field(True, description="make a map of bad pixels from darks and flats")
    memory: ByteSize = Field(1_000_000_000, description="memory for the combination of frames")


class NightsSettings(_Part):
    """Frames by night and instrument, and the masters of a night."""

    library: Path = Field(Path("masters"), description="folder of masters")
    noon: float = Field(12.0, ge=0, lt=24, description="hour (UTC) at which a new night begins: local noon")
    frame_types: tuple[FrameRule, ...] = Field(
        (), description="rules that tell raw frames apart, before the built-in ones"
    )
    masters: MastersSettings = Field(MastersSettings(), description="when they are built, and what waits for them")
    reprocess: bool = Field(False, description="do science frames of a night again when it gets better masters")


class QueueSettings(_Part):
    """Where the jobs are kept."""

    url: str | None = Field(
        None, description="postgresql://user@host/database for several machines; a file in `state` by default"
    )
    lease: PositiveDuration = Field(
        30.0, description="a daemon that has not been heard of for so long has lost its jobs"
    )
    keep: PositiveDuration | None = Field(
        None,
        description="attempts, logs and times of steps of a job are removed so long after its end; never by default",
    )


class WorkerSettings(_Part):
    """Worker processes."""

    count: PositiveInt | None = Field(None, description="number of processes; that of processor cores by default")
    memory: ByteSize | None = Field(None, description="memory for all images in work; 60 % of what is free by default")
    limit: ByteSize | None = Field(
        None, description="largest memory of one worker; it is ended beyond; default: `memory`"
    )
    recycle_after: PositiveInt = Field(200, description="a worker is replaced after so many images")
    timeout: PositiveDuration = Field(3600.0, description="longest time for one image, where the chain says nothing")
    grace: PositiveDuration = Field(60.0, description="longest time for images in work when the daemon is asked to end")


class TokenSettings(_Part):
    """Somebody who may read or change."""

    name: Name = Field(description="who it is")
    hash: TokenHash = Field(description="hash of the token, from `etendue token`; never the token itself")
    right: Literal["read", "change"] = Field(
        "read", description="read: look at everything; change: retry, upload, save …"
    )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    from ipaddress import ip_address

    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class WebSettings(_Part):
    """The web page and its API."""

    host: str = Field("127.0.0.1", description="address to listen on; any other than loopback requires tokens")
    port: NonNegativeInt = Field(8077, le=65535, description="port; 0 takes a free one")
    enabled: bool = Field(True, description="whether there is a page at all")
    names: tuple[str, ...] = Field((), description="further host names under which the page is reached, behind a proxy")
    tokens: tuple[TokenSettings, ...] = Field((), description="who may read and change")

    @model_validator(mode="after")
    def _check_address(self) -> "WebSettings":
        if self.enabled and not is_loopback(self.host) and not self.tokens:
            raise ValueError(
                f"{self.host} can be reached from other machines: add tokens (`etendue token` makes one), and put a "
                "proxy with TLS in front (docs: The daemon, Access)"
            )
        return self


class LogSettings(_Part):
    """What is logged, and where to."""

    format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, JSON otherwise")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least important lines to be logged"
    )
    file: Path | None = Field(None, description="also write JSON lines to this file")


class Observatory(_Part):
    """The whole configuration."""

    name: str = Field("Etendue", description="what the page is called")
    state: Path = Field(Path("state"), description="folder of the daemon: queue, uploads, what is not complete yet")
    queue: QueueSettings = Field(QueueSettings(), description="where the jobs are kept")
    chains: dict[Name, Annotated[ChainSettings, BeforeValidator(_chain)]] = Field(description="chains by name")
    destinations: dict[Name, Annotated[DestinationSettings, BeforeValidator(_destination)]] = Field(
        {"products": DestinationSettings(url="products")}, description="where products go, by name"
    )
    sources: tuple[Source, ...] = Field(description="where images come from")
    nights: NightsSettings | None = Field(None, description="frames by night, and masters; none by default")
    workers: WorkerSettings = Field(WorkerSettings(), description="worker processes")
    web: WebSettings = Field(WebSettings(), description="the page")
    log: LogSettings = Field(LogSettings(), description="what is logged")
    watch_config: bool = Field(False, description="take over changed chains by itself, without `etendue reload`")

    @field_validator("sources")
    @classmethod
    def _name_sources(cls, sources: tuple[Any, ...]) -> tuple[Any, ...]:
        named: list[Any] = []
        for source in sources:
            name = source.name or default_name(source)
            taken = {other.name for other in named}
            if source.name is not None and name in taken:
                raise ValueError(f"two sources are called '{name}'")
            number, free = 2, name
            while free in taken:
                free, number = f"{name}-{number}", number + 1
            named.append(source.model_copy(update={"name": free}))
        return tuple(named)

    @model_validator(mode="after")
    def _check_names(self) -> "Observatory":
        places = [*_unknown_names(self), *_folders_within(self)]
        if places:
            sentence = "; ".join(f"{'.'.join(map(str, path))}: {message}" for path, message in places)
            raise PydanticCustomError("unknown_name", "{sentence}", {"sentence": sentence, "places": places})
        return self


def _folders_within(settings: Observatory) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Destinations that are, or contain, a watched folder: what is written there would come in again."""
    watched = {source.watch for source in settings.sources if isinstance(source, WatchSource)}
    for name, destination in settings.destinations.items():
        if "://" in destination.url:
            continue
        for folder in watched:
            if folder.is_relative_to(Path(destination.url)):
                message = f"products would go into the watched folder {folder}, or above it; choose another folder"
                yield ("destinations", name), message


def _unknown_names(settings: Observatory) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where chains and destinations are named that there are not."""
    for name, chain in settings.chains.items():
        if chain.destination not in settings.destinations:
            message = (
                f"there is no destination '{chain.destination}'{did_you_mean(chain.destination, settings.destinations)}"
            )
            yield ("chains", name, "destination"), message
    for index, source in enumerate(settings.sources):
        named: list[tuple[tuple[str | int, ...], str | None]] = [(("chain",), source.chain)]
        named += [(("choose", number, "chain"), choice.chain) for number, choice in enumerate(source.choose)]
        for where, chain in named:
            if chain is not None and chain not in settings.chains:
                message = f"there is no chain '{chain}'{did_you_mean(chain, settings.chains)}"
                yield ("sources", index, *where), message
        if source.destination is not None and source.destination not in settings.destinations:
            hint = did_you_mean(source.destination, settings.destinations)
            yield ("sources", index, "destination"), f"there is no destination '{source.destination}'{hint}"


def default_name(source: Any) -> str:
    """What a source without a name is called."""
    match source:
        case WatchSource():
            name = source.watch.name or "watch"
        case UploadSource():
            name = source.upload
        case IntervalSource():
            name = f"every {source.interval:g} s"
        case MqttSource():
            name = "mqtt"
        case _:
            name = "nats"
    cleaned = "".join(letter if letter.isascii() and (letter.isalnum() or letter in " ._-") else "-" for letter in name)
    return cleaned.strip(" ._-")[:64] or "source"
