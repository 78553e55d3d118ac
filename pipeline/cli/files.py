"""`info` and `show`: what is in a file, in words and as a picture."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import JsonOption
from .run import require_file
from .terminal import console, number, plural, print_json, print_table

if TYPE_CHECKING:
    from ...images import Image

PICTURES = (".png", ".jpg", ".jpeg")
PLANES = ("data", "mask", "uncertainty", "raw")


class Stretch(StrEnum):
    """How pixel values become grey."""

    ASINH = "asinh"
    LINEAR = "linear"
    ZSCALE = "zscale"


def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An image of any format that can be read.")],
    header: Annotated[bool, typer.Option("--header", help="Print all header cards.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is in a file: planes, what the header tells, sky coordinates, catalogue, what was done to it."""
    from ...images import Image

    require_file(file)
    image = Image.from_file(file)
    facts = describe(image)
    if header:
        facts["cards"] = {card.keyword: card.value for card in image.header.cards if card.keyword}
    if as_json:
        print_json({"file": str(file), **facts})
        return
    _print_facts(file, facts)
    if header:
        typer.echo("\n" + image.header.tostring(sep="\n", endcard=False, padding=False))


def describe(image: "Image") -> dict[str, Any]:
    """What `info` tells about an image, as plain data."""
    return {
        "axes": image.axes if image.safe_data is not None else None,
        "planes": planes_facts(image),
        "header": header_facts(image),
        "sky": sky_facts(image),
        "catalog": catalog_facts(image),
        "provenance": [
            {
                "step": activity.step,
                "processor": activity.processor,
                "version": activity.version,
                "outcome": activity.outcome,
                "message": activity.message,
                "started": activity.started,
                "seconds": activity.seconds,
                "parameters": dict(activity.parameters),
                "inputs": [used.path for used in activity.inputs],
            }
            for activity in image.provenance
        ],
    }


def planes_facts(image: "Image") -> dict[str, dict[str, Any]]:
    """Shape, type and content of the pixel planes that the image has."""
    found = {name: getattr(image, f"safe_{name}") for name in PLANES}
    return {
        name: mask_facts(plane) if name == "mask" else plane_facts(plane)
        for name, plane in found.items()
        if plane is not None
    }


def plane_facts(plane: Any) -> dict[str, Any]:
    """Shape, type and range of one plane."""
    import numpy as np

    facts: dict[str, Any] = {"shape": list(plane.shape), "dtype": str(plane.dtype)}
    finite = np.isfinite(plane)
    good = plane[finite]
    facts["not_finite"] = int(plane.size - good.size)
    if good.size:
        facts |= {"min": good.min().item(), "median": float(np.median(good)), "max": good.max().item()}
    return facts


def mask_facts(mask: Any) -> dict[str, Any]:
    """Shape and type of a mask, how many pixels it excludes, and why."""
    import numpy as np

    from ...images import PixelFlag

    facts = {"shape": list(mask.shape), "dtype": str(mask.dtype), "masked": int(np.count_nonzero(mask))}
    if mask.dtype == bool:
        return facts
    counts = {str(flag.name): int(np.count_nonzero(mask & flag.value)) for flag in PixelFlag}
    return facts | {"flags": {name: count for name, count in counts.items() if count}}


def header_facts(image: "Image") -> dict[str, Any]:
    """Value, unit and card of everything that the header says under a name that Etendue knows.

    A value that cannot be read is None, with the `problem` that it has.
    """
    from ...images import ImageError
    from ...images.keywords import KEYWORDS, header_value, keyword_for

    facts: dict[str, Any] = {}
    for name, keyword in KEYWORDS.items():
        card = keyword_for(image.header, name)
        if card is None:
            continue
        facts[name] = {"value": None, "unit": keyword.unit, "card": card}
        try:
            value = header_value(image.header, name, label=image.label)
        except ImageError as error:
            facts[name]["problem"] = str(error)
        else:
            facts[name]["value"] = value.isoformat() if hasattr(value, "isoformat") else value
    return facts


def sky_facts(image: "Image") -> dict[str, Any] | None:
    """Position of the centre [deg], pixel scale [arcsec/px], field [arcmin]; None without coordinates."""
    from ...images import ImageError

    try:
        wcs = image.wcs
        scale = image.pixel_scale
    except ImageError as error:
        return {"problem": str(error)}
    if wcs is None or image.safe_data is None:
        return None
    height, width = image.shape
    ra, dec = (float(value) for value in wcs.celestial.pixel_to_world_values((width - 1) / 2, (height - 1) / 2))
    facts: dict[str, Any] = {"ra": ra, "dec": dec, "projection": wcs.wcs.ctype[0].rpartition("-")[2]}
    if scale:
        facts |= {"pixel_scale": scale, "field": [width * scale / 60, height * scale / 60]}
    return facts


def catalog_facts(image: "Image") -> dict[str, Any] | None:
    """Rows and columns of the catalogue."""
    table = image.safe_catalog
    if table is None:
        return None
    columns = [
        {
            "name": name,
            "unit": "" if table[name].unit is None else str(table[name].unit),
            "description": table[name].description or "",
        }
        for name in table.colnames
    ]
    return {"rows": len(table), "columns": columns}


def _print_facts(file: Path, facts: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()

    def section(title: str) -> None:
        out.print(Text(title, style="bold"))

    def rows(entries: list[tuple[str, ...]]) -> None:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for index in range(max(len(entry) for entry in entries)):
            table.add_column(style="cyan" if index == 0 else None, no_wrap=index == 0)
        for first, *others in entries:
            table.add_row(f"  {first}", *others)
        print_table(out, table)

    section(str(file))
    rows([(name, *_plane_words(plane)) for name, plane in facts["planes"].items()])
    if facts["header"]:
        section("header")
        rows([(name.replace("_", " "), *_header_words(fact)) for name, fact in facts["header"].items()])
    if facts["sky"]:
        section("sky")
        rows(_sky_words(facts["sky"]))
    if facts["catalog"]:
        section(f"catalogue of {plural(facts['catalog']['rows'], 'source')}")
        rows([(c["name"], c["unit"], c["description"]) for c in facts["catalog"]["columns"]])
    if facts["provenance"]:
        section("what was done")
        rows([(a["step"], a["version"], a["outcome"], a["message"] or _used_words(a)) for a in facts["provenance"]])


def _plane_words(plane: dict[str, Any]) -> tuple[str, ...]:
    shape = " × ".join(str(n) for n in plane["shape"])
    if "masked" in plane:
        reasons = ", ".join(f"{count} {name}" for name, count in plane.get("flags", {}).items())
        return shape, plane["dtype"], plural(plane["masked"], "pixel") + " excluded" + (f": {reasons}" * bool(reasons))
    if "min" not in plane:
        return shape, plane["dtype"], "no finite value"
    values = f"{number(plane['min'])} … {number(plane['max'])}, median {number(plane['median'])}"
    if plane["not_finite"]:
        values += f", {plural(plane['not_finite'], 'pixel')} not finite"
    return shape, plane["dtype"], values


def _header_words(fact: dict[str, Any]) -> tuple[str, ...]:
    if "problem" in fact:
        return "?", fact["card"], fact["problem"]
    value = fact["value"]
    if isinstance(value, list | tuple):
        words = " × ".join(str(entry) for entry in value)
    elif fact["unit"] == "UTC":
        words = str(value).removesuffix("+00:00").replace("T", " ")
    else:
        words = number(value, 8)
    return f"{words} {fact['unit']}".rstrip(), fact["card"]


def _sky_words(sky: dict[str, Any]) -> list[tuple[str, ...]]:
    if "problem" in sky:
        return [("problem", sky["problem"])]
    entries = [("centre", f"{sky['ra']:.5f} {sky['dec']:+.5f} deg"), ("projection", sky["projection"])]
    if "pixel_scale" in sky:
        width, height = sky["field"]
        entries += [
            ("pixel scale", f"{sky['pixel_scale']:.4g} arcsec/px"),
            ("field", f"{width:.4g} × {height:.4g} arcmin"),
        ]
    return entries


def _used_words(activity: dict[str, Any]) -> str:
    return ", ".join(activity["inputs"])


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An image of any format that can be read.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PICTURE", help="A .png or .jpg file.")],
    stretch: Annotated[Stretch, typer.Option("--stretch", help="How pixel values become grey.")] = Stretch.ASINH,
    sources: Annotated[bool, typer.Option("--sources", help="Mark the sources of the file's catalogue.")] = False,
    max_size: Annotated[
        int | None, typer.Option("--max-size", min=1, help="Longer side at most [px]; larger images are averaged.")
    ] = None,
) -> None:
    """Make a picture of an image, with row 0 at the bottom."""
    from ...images import Image
    from ...processors import RunContext, run_context
    from ...processors.output import SavePicture
    from ..errors import ConfigError

    require_file(file)
    if output.suffix.lower() not in PICTURES or set("{}") & set(output.name):
        raise ConfigError(f"-o {output}: give the name of a .png or .jpg file")
    image = Image.from_file(file)
    marked = f", {plural(len(image.catalog), 'source')}" if sources else ""
    painter = SavePicture(filename=output.name, stretch=stretch.value, sources=sources, max_size=max_size)
    with run_context(RunContext(output=output.parent, source=file)):
        painter.process(image)
    typer.echo(f"{file}{marked} -> {output}")
