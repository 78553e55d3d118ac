"""The rules of the contract, one function each: it yields a sentence for everything that is broken.

The docstring's first line is the rule as authors read it.
"""

import contextlib
import copy
import json
import os
import random
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from ...images import Image
from ..computing import compute_inline
from ..processor import FunctionProcessor, Processor, State
from .bench import Bench, Outcome, in_loop, is_sentence
from .edges import copes_with_edges, follows_the_light, ignores_a_bad_pixel, integers_give_the_same
from .examples import example_images
from .facts import changed, declared, facts, listed, lost, same
from .variants import another, enlarged, reduced_to, without

Rule = Callable[[Bench], Iterator[str]]

PARTS = re.compile(
    r"(data|mask|uncertainty|raw|catalog|header|meta|axes)\??|catalog\.[\w.*-]+\??|header\.[\w *-]+\??|meta\.[\w.*]+\??"
)
"""What ``reads`` and ``writes`` may name."""

SLOWEST = 0.02
"""A processor keeps the event loop for at most this long at a time [s]."""


def is_documented(bench: Bench) -> Iterator[str]:
    """It has a docstring, and every parameter has a description."""
    kind = type(bench.processor)
    if not (kind.__dict__.get("__doc__") or "").strip():
        yield f"{bench.name} has no docstring; its first line is what users see in lists"
    if _is_function(bench):
        return
    silent = [name for name, field in kind.model_fields.items() if not field.description]
    if silent:
        yield f'the parameter(s) {listed(silent)} have no description; write Field(…, description="…")'


def declares_known_parts(bench: Bench) -> Iterator[str]:
    """``reads`` and ``writes`` name planes, catalogue columns, header keys and meta classes."""
    for attribute in ("reads", "writes"):
        for name in sorted(getattr(bench.processor, attribute)):
            if not isinstance(name, str) or not PARTS.fullmatch(name):
                yield f"{attribute} names {name!r}; it may be data, mask, catalog.flux, header.EXPTIME, meta.ExpTime …"


def survives_configuration(bench: Bench) -> Iterator[str]:
    """Its parameters can be written as JSON or YAML, and give an equal processor when they are read."""
    kind = type(bench.processor)
    try:
        written = json.loads(json.dumps(bench.processor.model_dump(mode="json")))
        again = kind.model_validate(written)
    except Exception as error:  # noqa: BLE001 - whatever stands in the way breaks the rule
        yield f"its parameters cannot be written to a configuration and read back: {type(error).__name__}: {error}"
        return
    if different := [n for n in kind.model_fields if not same(getattr(again, n), getattr(bench.processor, n))]:
        yield f"its configuration gives another processor when it is read back: {listed(different)} differ"
    if not kind.model_config.get("frozen"):
        yield "it can be changed after it was made; leave model_config as Processor has it (frozen)"


def returns_an_image(bench: Bench) -> Iterator[str]:
    """It returns an Image, or None to end an image; nothing else."""
    outcome = bench.run(bench.image)
    if isinstance(outcome.error, TypeError) and "returned" in str(outcome.error):
        yield f"{outcome.error}"
    elif outcome.error is None and outcome.result is not None and outcome.image is None:
        yield f"it returned {type(outcome.result).__name__}; a processor returns an Image, or None to end here"
    elif outcome.error is None and outcome.result is None and not bench.processor.sequential:
        others = (another(bench.image), *example_images().values())
        if not any(bench.run(image).image for image in others):
            yield (
                "it returned None for every image, as a function without return does; if it is meant to end them, "
                "give check_processor an image= that goes on"
            )


def leaves_its_input_alone(bench: Bench) -> Iterator[str]:
    """It never changes the image that it is given, nor pixels that it shares."""
    image = copy.deepcopy(bench.image)
    before = facts(image)
    with contextlib.suppress(Exception), compute_inline(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        in_loop(bench.call(bench.processor, image))
    names = changed(before, facts(image))
    if names:
        yield f"it changes its input: {listed(names)}; work on image.copy(), image.replace(…) or image.edit(…)"


def _is_function(bench: Bench) -> bool:
    """Whether it was made from a plain function, which declares nothing and may read and change anything."""
    return isinstance(bench.processor, FunctionProcessor)


def keeps_what_it_does_not_write(bench: Bench) -> Iterator[str]:
    """It changes only what ``writes`` declares, and hands everything else on."""
    if bench.processor.composite:
        return  # what its steps declare is checked for each of them
    before = facts(bench.image)
    result = bench.run(bench.image).image
    if result is None:
        return
    after = facts(result)
    ignored = {"provenance"}
    gone = [n for n in lost(before, after) if not declared(n, bench.writes) and n not in ignored]
    if gone:
        yield f"it drops {listed(gone)}; hand on what you do not use: return image.replace(…), not Image(…)"
    if _is_function(bench):
        return
    others = [n for n in changed(before, after) if n not in gone and not declared(n, bench.writes) and n not in ignored]
    if others:
        yield f"it changes {listed(others)}, which its writes does not declare"


def writes_what_it_declares(bench: Bench) -> Iterator[str]:
    """What ``writes`` names without a question mark is there afterwards."""
    if bench.processor.composite:
        return  # what its steps declare is checked for each of them
    result = bench.run(bench.image).image
    if result is None:
        return
    after = facts(result)
    promised = {name for name in bench.processor.writes if not name.endswith("?") and "*" not in name}
    missing = sorted(name for name in promised - {"header", "meta"} if name not in after)
    if missing:
        yield f"it declares that it writes {listed(missing)} and did not; write the name with a ? if it depends"


def names_what_is_missing(bench: Bench) -> Iterator[str]:
    """Without a part that it needs it raises an ImageError that says so; what is optional may be absent."""
    if bench.processor.composite:
        return  # what its steps declare is checked for each of them
    for name in sorted(bench.reads):
        lacking = without(bench.image, name)
        if lacking is None:
            continue
        outcome = bench.run(lacking)
        if outcome.error is None:
            if outcome.image is not None:
                yield f"it declares that it reads {name}, and works without it; write '{name}?'"
        elif not outcome.refused:
            yield f"without {name} it {outcome.what_happened()}; raise an ImageError that says what is missing"
        elif not is_sentence(outcome.error):
            yield f"without {name} it raises an error that says {str(outcome.error)!r}; write a sentence"
    for name in sorted(bench.may_read - bench.reads):
        lacking = without(bench.image, name)
        outcome = bench.run(lacking) if lacking is not None else Outcome(result=bench.image)
        if outcome.error is not None and not (name.startswith("header.") and outcome.refused):
            # A card may be replaced by another one or by a parameter, and be needed where neither is there.
            yield f"it declares that {name} is optional, but without it it {outcome.what_happened()}"


def declares_what_it_reads(bench: Bench) -> Iterator[str]:
    """It works on an image that has only what ``reads`` declares."""
    if bench.processor.composite or _is_function(bench):
        return  # what the steps of a composite declare is checked for each of them
    outcome = bench.run(reduced_to(bench.image, bench.may_read))
    if outcome.error is not None:
        yield f"on an image that has only what its reads declares it {outcome.what_happened()}"


def remembers_nothing(bench: Bench) -> Iterator[str]:
    """One instance serves many images, in any order and at once: nothing is remembered from one to the next."""
    processor = bench.processor
    kind = type(processor)
    first, second = bench.image, another(bench.image)
    inside, around = _attributes(processor), _class_attributes(kind)
    alone = bench.run(first)
    if alone.error is not None:
        return
    bench.run(second)
    again = bench.run(first)
    if not _same_result(alone, again):
        yield (
            f"it gives another result after another image ({_difference(alone, again)}): it remembers something, "
            "or uses random numbers without a seed; keep memory in the State of a sequential processor"
        )
    if (names := _differences(inside, _attributes(processor))) or (
        names := _differences(around, _class_attributes(kind))
    ):
        yield f"it keeps something on itself: {listed(names)}; one instance serves many images at once"
    if names := _differences(bench.module_before, module_variables(kind)):
        yield f"it keeps something in its module: {listed(names)}; images are processed in any order, in any process"
    together = bench.run_all([first, second, first, second])
    apart = [again, bench.run(second)]
    if not all(_same_result(apart[i % 2], outcome) for i, outcome in enumerate(together)):
        yield "it gives other results when it works on several images at once"
    try:
        fresh = kind.model_validate(processor.model_dump(mode="json"))
    except Exception:  # noqa: BLE001 - another rule reports it
        return
    # In the opposite order: what it kept of the first image that it ever saw shows now.
    opposite = [bench.run(second, processor=fresh), bench.run(first, processor=fresh)]
    if not all(_same_result(one, other) for one, other in zip(reversed(opposite), apart, strict=True)):
        yield "an equal instance that sees the images in another order gives other results: it remembers something"


def remembers_in_its_state(bench: Bench) -> Iterator[str]:
    """A sequential processor remembers only in the State, which can be reset; all others get none."""
    if not bench.processor.sequential:
        return
    first, second = bench.image, another(bench.image)
    begin = bench.run(first)
    if begin.error is not None:
        return
    state = State()
    for image in (first, second):
        bench.run(image, state=state)
    state.reset()
    if not _same_result(begin, bench.run(first, state=state)):
        yield "after State.reset() it does not treat the next image as the first one"


def leaves_the_loop_free(bench: Bench) -> Iterator[str]:
    """It does not keep the event loop busy: computation belongs in process(), waiting in async __call__()."""
    if type(bench.processor).__call__ is Processor.__call__:
        return
    large = enlarged(bench.image)
    longest = min(bench.longest_block(large) for _ in range(3))
    if longest > SLOWEST:
        yield (
            f"it blocks the event loop for {longest * 1000:.0f} ms at a time; compute in process(), "
            "or with await off_loop(…), and wait with await"
        )


def leaves_the_world_alone(bench: Bench) -> Iterator[str]:
    """It does not touch what all share: the working folder, the environment, numpy's random numbers."""
    before = _world()
    bench.run(bench.image)
    names = _differences(before, _world())
    if names:
        yield f"it changes {listed(names)}, which other images and processors share"


def gives_what_can_be_written(bench: Bench) -> Iterator[str]:
    """Its result can be written to a file."""
    result = bench.run(bench.image).image
    if result is None or result.safe_data is None:
        return
    try:
        result.to_bytes()
    except Exception as error:  # noqa: BLE001 - whatever stands in the way breaks the rule
        yield f"its result cannot be written to a file: {type(error).__name__}: {error}"


def gives_numbers(bench: Bench) -> Iterator[str]:
    """From good pixels it makes good pixels: no NaN, no infinity, no warning of numpy."""
    image = bench.image
    outcome = bench.run(image)
    result = outcome.image
    if outcome.warnings:
        yield f"numpy warns on a good image ({outcome.warnings[0]}); avoid the operation or handle its result"
    if result is None or result.safe_data is None or image.safe_data is None or result.data.dtype.kind != "f":
        return
    bad = ~np.isfinite(result.data)
    if result.safe_mask is not None:
        bad &= np.broadcast_to(result.mask, result.data.shape) == 0
    share = bad.mean() - (~np.isfinite(image.data)).mean()
    if share > 0.02:
        yield f"{share:.0%} of the unmasked pixels of its result are NaN or infinite, from a good image"


RULES_WITHOUT_IMAGE: tuple[Rule, ...] = (is_documented, declares_known_parts, survives_configuration)
"""Rules about the processor itself."""

RULES: tuple[Rule, ...] = (
    *RULES_WITHOUT_IMAGE,
    returns_an_image,
    leaves_its_input_alone,
    keeps_what_it_does_not_write,
    writes_what_it_declares,
    names_what_is_missing,
    declares_what_it_reads,
    remembers_nothing,
    remembers_in_its_state,
    leaves_the_loop_free,
    leaves_the_world_alone,
    gives_what_can_be_written,
    gives_numbers,
    ignores_a_bad_pixel,
    integers_give_the_same,
    follows_the_light,
    copes_with_edges,
)
"""All rules, in the order in which they are tried."""


def _same_result(one: Outcome, other: Outcome) -> bool:
    if one.image is None or other.image is None:
        return type(one.result) is type(other.result) and type(one.error) is type(other.error)
    return not _changed_parts(one.image, other.image)


def _changed_parts(one: Image, other: Image) -> list[str]:
    return [name for name in changed(facts(one), facts(other)) if name not in ("header.DATE", "provenance")]


def _difference(one: Outcome, other: Outcome) -> str:
    if one.image is None or other.image is None:
        return f"first it {one.what_happened()}, then it {other.what_happened()}"
    return listed(_changed_parts(one.image, other.image))


def _attributes(processor: Processor) -> dict[str, Any]:
    """What is stored on an instance, but for cached properties, which follow from its parameters."""
    kind = type(processor)
    found = {
        name: _frozen(value)
        for name, value in vars(processor).items()
        if not isinstance(getattr(kind, name, None), cached_property)
    }
    return found | {name: _frozen(value) for name, value in (processor.__pydantic_private__ or {}).items()}


def _class_attributes(kind: type) -> dict[str, Any]:
    """What authors store on their classes."""
    return {
        f"{each.__name__}.{name}": _frozen(value)
        for each in kind.__mro__[: kind.__mro__.index(Processor)]
        for name, value in vars(each).items()
        if not name.startswith("__") and not name.startswith("_abc") and not callable(value)
    }


def module_variables(kind: type) -> dict[str, Any]:
    """What authors can store in the module of their class: plain values and containers."""
    module = sys.modules.get(kind.__module__)  # a notebook's or a script's may have none
    return {
        name: _frozen(value)
        for name, value in (vars(module) if module else {}).items()
        if not name.startswith("__") and isinstance(value, int | float | str | dict | list | set | np.ndarray | None)
    }


def _frozen(value: Any) -> Any:
    """A value that tells whether the original was changed in place."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict | list | set):
        return repr(value)
    return value


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        name
        for name in dict.fromkeys((*before, *after))
        if (name in before) != (name in after) or not (before[name] is after[name] or same(before[name], after[name]))
    ]


def _world() -> dict[str, Any]:
    generator = np.random.get_state(legacy=False)  # noqa: NPY002 - the global generator is what must not be touched
    return {
        "the working folder": os.getcwd(),  # noqa: PTH109
        "the environment": dict(os.environ),
        "numpy's global random numbers": repr(generator),
        "Python's random numbers": random.getstate(),
    }
