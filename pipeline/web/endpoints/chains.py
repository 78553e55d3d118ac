"""Chains: how they look, what is wrong with an edited one, and saving it."""

import json
from pathlib import Path
from typing import Any

from starlette.responses import Response

from ..routes import Asked, Route, answer, ask_clerk, json_text
from ..service import Refused
from ..shapes import ChainChange, ChainDetail, ChainDrawing, ChainInfo, Chains, ChainText, Processors, Saved, Validation
from ..summaries import shown


async def list_chains(asked: Asked) -> Chains:
    """The chains of the configuration."""
    look = await asked.board.look()
    paused = {pause.chain for pause in look.paused}
    return Chains(chains=[_info(asked, chain, paused) for chain in asked.service.chains.values()])


def _info(asked: Asked, chain: Any, paused: set[str | None]) -> ChainInfo:
    return ChainInfo(
        name=chain.name,
        file=shown(str(chain.file)),
        description=chain.description,
        steps=list(chain.steps),
        fingerprint=chain.fingerprint,
        problems=list(asked.service.chain_problems.get(chain.name, ())),
        can_be_saved=not chain.builtin,
        paused=None in paused or chain.name in paused,
    )


async def show_chain(asked: Asked) -> Response:
    """A chain: its text, its drawing, and all parameters with their documentation."""
    chain = _chain(asked, asked.path["name"])
    look = await asked.board.look()
    drawing = await ask_clerk(asked, "draw_chain", {"pipeline": chain.pipeline})
    info = _info(asked, chain, {pause.chain for pause in look.paused})
    detail = ChainDetail(
        **info.model_dump(),
        text=chain.text,
        base=text_hash(chain.text),
        drawing=ChainDrawing.model_validate_json(drawing),
    )
    return answer(detail)


def text_hash(text: str) -> str:
    """What identifies the text of a chain."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


async def validate_chain(asked: Asked) -> Response:
    """What is wrong with the text of a chain, with lines and columns; and how it would look.

    The daemon goes on with what it has. Registered processors may be named only, no paths of modules.
    """
    return json_text(await _validated(asked, asked.body.text, asked.body.name))


async def _validated(asked: Asked, text: str, name: str) -> bytes:
    chain = asked.service.chains.get(name)
    if name and chain is None:
        raise Refused(404, f"there is no chain '{name}'")
    arguments: dict[str, Any] = {"text": text, "folder": None}
    if chain is not None:
        arguments["folder"] = None if chain.builtin else str(Path(chain.file).parent)
        arguments["variables"] = dict(chain.settings.variables)
        arguments["overrides"] = list(chain.settings.set)
    return await ask_clerk(asked, "validate_chain", arguments)


async def save_chain(asked: Asked) -> Saved:
    """Replace the file of a chain, if it is right, and take it over.

    It needs a token, also on this machine. `base` is that of the text that was edited: if somebody else has changed
    the file meanwhile, nothing is written.
    """
    chain = _chain(asked, asked.path["name"])
    if chain.builtin:
        raise Refused(409, f"{chain.name} comes with the package: copy it to a file of your own to change it")
    validation = json.loads(await _validated(asked, asked.body.text, chain.name))
    if not validation["valid"]:
        raise Refused(422, "the chain is not right; nothing was saved", validation["problems"])
    problems = await asked.service.save_chain(chain.name, asked.body.text, asked.body.base)
    return Saved(name=chain.name, base=text_hash(asked.body.text), problems=list(problems))


def _chain(asked: Asked, name: str) -> Any:
    found = asked.service.chains.get(name)
    if found is None:
        raise Refused(404, f"there is no chain '{name[:64]}'")
    return found


async def list_processors(asked: Asked) -> Response:
    """All registered processors with their parameters: what a step may name."""
    return json_text(await ask_clerk(asked, "list_processors", {}))


async def show_schema(asked: Asked) -> Response:
    """The JSON Schema of chains, from which forms and editors are made."""
    return json_text(await ask_clerk(asked, "chain_schema", {}))


ROUTES = (
    Route(method="GET", path="/api/chains", endpoint=list_chains, answer=Chains),
    Route(
        method="POST",
        path="/api/chains/validate",
        endpoint=validate_chain,
        answer=Validation,
        body=ChainText,
        errors=(404,),
    ),
    Route(method="GET", path="/api/chains/{name}", endpoint=show_chain, answer=ChainDetail),
    Route(
        method="PUT",
        path="/api/chains/{name}",
        endpoint=save_chain,
        answer=Saved,
        body=ChainChange,
        right="save",
        errors=(409,),
    ),
    Route(method="GET", path="/api/processors", endpoint=list_processors, answer=Processors),
    Route(method="GET", path="/api/schema", endpoint=show_schema, answer="application/json"),
)
