"""The Processor: one algorithm, an Image in, an Image out.

A processor is an immutable, validated set of parameters that is called with an image and awaited. Its one
definition gives the keys in YAML, their validation, the command line's help, the schema that editors
complete from, and the reference documentation:

>>> class Invert(Processor):
...     \"\"\"Turn a negative into a positive.\"\"\"
...
...     reads = {"data"}
...     writes = {"data"}
...
...     white: float = Field(65535.0, description="value that becomes black [adu]")
...
...     def process(self, image: Image) -> Image:
...         return image.replace(data=self.white - image.data)
>>> positive = await Invert()(negative)
"""

import difflib
import inspect
from collections.abc import Callable, Sequence, Set
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from ..images import Image
from .computing import off_loop

ENTRY_POINT_GROUP = "etendue.processors"
"""Where distributions announce their processors."""


class Processor(BaseModel):
    """One algorithm with its parameters.

    Subclasses declare their parameters as pydantic fields and define :meth:`process` for computation, which
    the base class runs off the event loop, or ``async __call__`` for work that waits (network, subprocess, disk).
    Either returns an Image, or None for "this image ends here, and that is fine". It never changes its input,
    and it raises ImageError (wrong with this image) or TransientError (may work later) when it cannot do its job.

    Attributes
    ----------
    reads, writes : set of str
        Planes (``data``), catalogue columns (``catalog.flux``), header keys (``header.EXPTIME``) and meta classes
        (``meta.PixelOffsets``) that are used and produced. A trailing ``?`` means "used when present".
    sequential : bool
        The processor must see the images in order, and remembers something between them in the state that the
        runner hands in: ``process(image, state)`` with a dict that starts empty.
    composite : bool
        The processor consists of steps that keep their own records (a chain, a branch); it defines
        ``run_inside(image, state=None, *, prefix="")``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        validate_default=True,
        use_attribute_docstrings=False,
        ser_json_inf_nan="constants",
    )

    reads: ClassVar[Set[str]] = frozenset()
    writes: ClassVar[Set[str]] = frozenset()
    sequential: ClassVar[bool] = False
    composite: ClassVar[bool] = False

    if not TYPE_CHECKING:  # type checkers and editors see the parameters of each subclass

        def __init__(self, **parameters: Any) -> None:
            for name in parameters.keys() - type(self).model_fields.keys():
                near = difflib.get_close_matches(name, type(self).model_fields, n=1)
                hint = (
                    f"did you mean '{near[0]}'?" if near else f"it has {', '.join(type(self).model_fields) or 'none'}"
                )
                raise TypeError(f"{type(self).__name__} has no parameter '{name}'; {hint}")
            super().__init__(**parameters)

        # Validation from YAML reports unknown keys itself, all at once, and must not come through here.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name in ("reads", "writes"):
            if isinstance(getattr(cls, name), str):
                raise TypeError(f"{cls.__name__}.{name} must be a set of names, not a single string")

    def process(self, image: Image, *state: "State") -> Image | None:
        """The computation. It runs in a thread (or in a worker process), never on the event loop."""
        raise TypeError(f"{type(self).__name__} defines neither process() nor async __call__()")

    async def __call__(self, image: Image, state: "State | None" = None) -> Image | None:
        """Process one image.

        Parameters
        ----------
        image : Image
            Left as it is.
        state : State
            What a sequential processor remembers between images; others ignore it.

        Returns
        -------
        Image or None
            A new image, or None if this image ends here.
        """
        if not isinstance(image, Image):
            raise TypeError(f"{type(self).__name__} takes an Image, not {type(image).__name__}; make one: Image(array)")
        arguments = (image,)
        if self.sequential:
            if state is None:
                raise TypeError(
                    f"{type(self).__name__} remembers something between images: call it with a State, "
                    "the same one for all images of a series"
                )
            arguments = (image, state)
        return checked_result(self, await off_loop(self.process, *arguments))

    def finish(self, state: "State") -> Sequence[Callable[[], Image | None]]:
        """What a sequential processor still holds when no more images come: functions that give one image each.

        The runner calls them off the event loop, and takes the images through the steps after this one.
        """
        return ()

    async def run_inside(self, image: Image, state: "State | None" = None, *, prefix: str = "") -> Image | None:
        """As ``__call__``, for composites: the names of the steps inside are recorded with a prefix."""
        return await self(image, state) if self.sequential else await self(image)

    def __or__(self, other: Any) -> Any:
        """``a | b``: a pipeline of both; plain functions and coroutines are accepted."""
        return _pipeline_class().of(self, other) if is_composable(other) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return _pipeline_class().of(other, self) if is_composable(other) else NotImplemented

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.get_default(call_default_factory=True)
        )
        return f"{type(self).__name__}({shown})"


@cache
def _pipeline_class() -> Any:
    """The class that ``|`` makes. It lives in a room that this one must not import, and is found like any plugin."""
    (entry,) = entry_points(group=ENTRY_POINT_GROUP, name="Pipeline")
    return entry.load()


class State(dict[str, Any]):
    """What a sequential processor remembers from image to image; it starts empty."""

    def reset(self) -> None:
        """Forget everything: the next image is the first one."""
        self.clear()


def checked_result(processor: Any, result: Any) -> Image | None:
    """`result`, if it is what a processor may return.

    Raises
    ------
    TypeError
        It is neither an Image nor None.
    """
    if result is None or isinstance(result, Image):
        return result
    name = getattr(processor, "__name__", None) or type(processor).__name__
    raise TypeError(f"{name} returned {type(result).__name__}; a processor returns an Image, or None to end here")


# --- plain functions ------------------------------------------------------------------------------------------


class FunctionProcessor(Processor):
    """A processor made from a plain function or coroutine by :func:`as_processor`."""

    function: ClassVar[Callable[..., Any]]

    def process(self, image: Image, *state: State) -> Image | None:
        return type(self).function(image, **self._parameters())

    async def __call__(self, image: Image, state: State | None = None) -> Image | None:
        function = type(self).function
        if inspect.iscoroutinefunction(function):
            return checked_result(function, await function(image, **self._parameters()))
        return await super().__call__(image, state)

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields}


@cache
def processor_from_function(function: Callable[..., Any]) -> type[FunctionProcessor]:
    """A processor class from ``f(image, parameter=default, …)``: its parameters become fields.

    The first argument is the image. Annotations are validated; an argument without one accepts anything.

    Raises
    ------
    TypeError
        The function takes no image, or has ``*args`` or ``**kwargs``.
    """
    signature = inspect.signature(function, eval_str=True)
    arguments = list(signature.parameters.values())
    name = getattr(function, "__name__", "function")
    if not arguments or any(a.kind in (a.VAR_POSITIONAL, a.VAR_KEYWORD) for a in arguments):
        raise TypeError(f"{name} cannot be a processor: it must take an image, then named parameters (no * or **)")
    annotations: dict[str, Any] = {}
    namespace: dict[str, Any] = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__annotations__": annotations,
        "function": staticmethod(function),
    }
    for argument in arguments[1:]:
        annotations[argument.name] = Any if argument.annotation is argument.empty else argument.annotation
        if argument.default is not argument.empty:
            namespace[argument.name] = argument.default
    return type(name, (FunctionProcessor,), namespace)


def is_composable(thing: Any) -> bool:
    """Whether :func:`as_processor` accepts it."""
    return (
        isinstance(thing, Processor)
        or inspect.isfunction(thing)
        or (isinstance(thing, type) and issubclass(thing, Processor))
    )


def as_processor(thing: Any) -> Processor:
    """A processor from a processor, a processor class without required parameters, a function or a coroutine.

    Raises
    ------
    TypeError
        It is none of these.
    """
    if isinstance(thing, Processor):
        return thing
    if isinstance(thing, type) and issubclass(thing, Processor):
        return thing()
    if inspect.isfunction(thing):
        return processor_from_function(thing)()
    raise TypeError(
        f"{thing!r} is not a processor: expected a Processor, or a function that takes and returns an Image"
    )
