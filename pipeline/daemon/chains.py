"""The chains of the daemon: loaded in another process, and taken over only when they are right."""

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..errors import ConfigError
from .settings import ChainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedChain:
    """A chain that has been validated.

    Attributes
    ----------
    name : str
        What the observatory calls it.
    file : Path
        Where it is written.
    builtin : bool
        Whether it came with the package.
    text : str
        What is written there.
    pipeline : str
        The chain as JSON, with all parameters, as workers get it.
    fingerprint : str
        Identifies its work.
    read : mapping
        How files are read.
    keywords : mapping
        What the chain says of header keywords.
    description : str
        What it does.
    steps : tuple of str
        Names of its steps.
    calibrates : bool
        Whether a step looks for masters.
    files : mapping of str to int
        The files that it is made of, and when they were last changed [ns].
    settings : ChainSettings
        How its jobs are treated.
    loaded : float
        When it was taken over [s since 1970].
    """

    name: str
    file: Path
    builtin: bool
    text: str
    pipeline: str
    fingerprint: str
    read: Mapping[str, Any]
    keywords: Mapping[str, Any]
    description: str
    steps: tuple[str, ...]
    calibrates: bool
    files: Mapping[str, int]
    settings: ChainSettings
    loaded: float = field(default_factory=time.time)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], settings: ChainSettings) -> Self:
        """What :func:`load_chain` has found."""
        return cls(
            **{key: value for key, value in plain.items() if key not in ("file", "steps")},
            file=Path(plain["file"]),
            steps=tuple(plain["steps"]),
            settings=settings,
        )

    @property
    def has_changed(self) -> bool:
        """Whether one of its files is another one now."""
        return any(_changed(path) != when for path, when in self.files.items())


def know_modules_beside(chains: Iterable[ChainSettings]) -> None:
    """Let ``class: mysteps.Invert`` find mysteps.py beside the chain that names it, in processes to be started.

    The folders come last on the path: a file there never takes the place of an installed module.
    """
    folders = dict.fromkeys(str(Path(one.file).resolve().parent) for one in chains if Path(one.file).is_file())
    sys.path.extend(folder for folder in folders if folder not in sys.path)


def load_chain(
    name: str, file: str, variables: Mapping[str, Any], overrides: list[str], library: str | None
) -> dict[str, Any]:
    """Load and validate a chain. It runs in a clerk: it imports processors, and plugins of the user's.

    Parameters
    ----------
    name : str
        What the observatory calls it.
    file : str
        Its file, or the name of a built-in one.
    variables, overrides
        As for :func:`etendue.pipeline.load_pipeline`.
    library : str or None
        Folder of masters for its calibration, where the chain names none.

    Returns
    -------
    dict
        ``{"chain": …}``, or ``{"problems": [...]}`` with one sentence each.
    """
    from ..config.document import builtin_chains, find_chain
    from ..config.load import chain_files, load_pipeline
    from ..night.chain import calibration_of, with_library
    from ..pipeline import every_step
    from ..running.run import chain_fingerprint
    from ..running.shipping import pack

    try:
        pipeline = load_pipeline(file, variables=variables, overrides=overrides)
        if pipeline.sequential:
            steps = ", ".join(step.label for step in every_step(pipeline) if step.processor.sequential)
            raise ConfigError(
                f"{file}: {steps} remembers earlier images, and the daemon shares images among workers and repeats "
                "them after a failure; use `etendue run` for such a chain"
            )
        if library is not None:
            pipeline = with_library(pipeline, Path(library))
        files = chain_files(file)
        packed = pack(pipeline)
        path = find_chain(file)
        found = {
            "name": name,
            "file": str(path),
            "builtin": path in builtin_chains().values(),
            "text": path.read_text(encoding="utf-8-sig"),
            "pipeline": packed.text,
            "fingerprint": chain_fingerprint(pipeline, pipeline.read),
            "read": dict(pipeline.read),
            "keywords": dict(pipeline.keywords),
            "description": pipeline.description,
            "steps": [step.label for step in pipeline.steps],
            "calibrates": calibration_of(pipeline) is not None,
            "files": {str(path): _changed(path) for path in map(str, files)},
        }
    except (ConfigError, OSError) as error:
        return {"problems": [_of_chain(name, line) for line in str(error).splitlines()]}
    return {"chain": found}


def _of_chain(name: str, problem: str) -> str:
    """What is wrong with a variable or a changed value stands in no file: it is told with the chain's name."""
    return f"chain {name}: {problem[2:]}" if problem.startswith(("--var ", "--set ")) else problem


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
