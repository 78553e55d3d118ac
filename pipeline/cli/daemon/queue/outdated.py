"""`outdated`: products that a newer run of their image has not made again; list them, remove them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...arguments import JsonOption
from ...terminal import console, plural, print_json, print_table
from .place import QueueArgument, begins_as_database, open_queue
from .selection import ask

if TYPE_CHECKING:
    from rich.console import Console

    from ....daemon.queue import OutdatedProduct
    from ....daemon.work.destinations import Destination

REFUSAL = "outdated --remove: files would be removed; add --yes, or look at them first with `queue outdated`"


def outdated(
    place: QueueArgument,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them, where the files are what was published.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before files are removed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List products of earlier runs of an image that its newest run has not made again, or remove them.

    They come of a newer version of a file, or a changed chain, whose products have other names. The exit code is 1 if
    some could not be removed.
    """
    destinations = _destinations(place) if remove else {}
    with open_queue(place) as queue:
        found = queue.outdated()
        if not remove:
            _show(found, as_json)
            return
        if found and not yes:
            if not as_json:
                _print_products(console(), found)
            ask(f"Remove {_sum(found)}?", REFUSAL)
        from ....daemon.work.removing import remove_outdated

        told = [(one, *remove_outdated(queue, one, destinations)) for one in found]
    removed = [one for one, is_gone, _ in told if is_gone]
    if as_json:
        print_json({"products": [{**_plain(one), "removed": is_gone, "remark": why} for one, is_gone, why in told]})
    else:
        _print_remarks(told)
        typer.echo(f"{_sum(removed)} removed")
    if len(removed) < len(told):
        if not as_json:
            typer.echo(f"{plural(len(told) - len(removed), 'product')} left alone", err=True)
        raise typer.Exit(1)


def _destinations(place: str) -> "dict[str, Destination]":
    """Where the products of a daemon are.

    Raises
    ------
    ConfigError
        Only a database is named.
    """
    from ....errors import ConfigError

    if "://" in place or begins_as_database(Path(place)):
        raise ConfigError(
            "outdated --remove: a database does not tell where products are; name the configuration (observatory.yaml)"
        )
    from ....daemon.configuration import load_observatory
    from ....daemon.places import known_destinations

    return known_destinations(load_observatory(place))


def _show(found: "list[OutdatedProduct]", as_json: bool) -> None:
    if as_json:
        print_json({"products": [_plain(one) for one in found]})
        return
    if found:
        _print_products(console(), found)
    typer.echo(f"{_sum(found)}; --remove removes them" if found else "No product is outdated")


def _print_products(out: "Console", found: "list[OutdatedProduct]") -> None:
    from rich.table import Table

    from ....daemon.logs import printable
    from ....daemon.sizes import spell_size

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("job", "image", "product", "in", "size", "why"):
        table.add_column(name, justify="right" if name in ("job", "size") else "left", overflow="fold")
    for one in found:
        product = one.product
        names = (printable(one.label), printable(product.name), product.destination)
        table.add_row(str(product.job), *names, spell_size(product.size), printable(one.reason))
    print_table(out, table)


def _print_remarks(told: "list[tuple[OutdatedProduct, bool, str]]") -> None:
    from ....daemon.logs import printable

    for one, is_gone, why in told:
        if why:
            typer.echo(f"{printable(one.product.name)} in {one.product.destination}: {printable(why)}", err=not is_gone)


def _sum(found: "list[OutdatedProduct]") -> str:
    from ....daemon.sizes import spell_size

    size = f" ({spell_size(sum(one.product.size for one in found))})" if found else ""
    return plural(len(found), "outdated product") + size


def _plain(one: "OutdatedProduct") -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(one.product), "image": one.label, "newest": one.newest, "reason": one.reason}
