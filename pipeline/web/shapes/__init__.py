"""The answers of the API, one model each. The OpenAPI document is made from them.

Times are seconds since 1970 (UTC); 0 stands for "not yet". Durations are seconds, sizes bytes. What is not a finite
number is null. Positions are pixels, 0-based, the centre of the first pixel at (0, 0).
"""

from collections.abc import Iterator

from .base import JobNumber, Number, Problem, Shape, Words
from .chains import (
    ChainChange,
    ChainDetail,
    ChainDrawing,
    ChainInfo,
    Chains,
    ChainText,
    ConfigProblem,
    GraphEdge,
    GraphNode,
    Parameter,
    ProcessorInfo,
    Processors,
    Saved,
    StepInfo,
    Validation,
)
from .jobs import (
    AttemptInfo,
    Changed,
    JobDetail,
    JobFilter,
    JobLog,
    JobPage,
    JobSummary,
    OutdatedInfo,
    PauseRequest,
    ProductInfo,
    Timing,
)
from .masters import MasterComparison, MasterDecision, MasterStatus
from .nights import MasterInfo, NightDetail, NightGroup, NightRow, Nights, QualityPoint
from .now import DaemonInfo, Disk, Live, LoopLag, Memory, Now, PauseInfo, SourceInfo, StepTime, Tally, Worker
from .products import Card, Header, ImageInfo, Levels, Pixel, Provenance, ProvenanceStep, Sources, TableColumn, UsedFile
from .system import Health, Readiness, Reloaded, System, Uploaded

__all__ = [
    "AttemptInfo",
    "Card",
    "ChainChange",
    "ChainDetail",
    "ChainDrawing",
    "ChainInfo",
    "ChainText",
    "Chains",
    "Changed",
    "ConfigProblem",
    "DaemonInfo",
    "Disk",
    "GraphEdge",
    "GraphNode",
    "Header",
    "Health",
    "ImageInfo",
    "JobDetail",
    "JobFilter",
    "JobLog",
    "JobNumber",
    "JobPage",
    "JobSummary",
    "Levels",
    "Live",
    "LoopLag",
    "MasterComparison",
    "MasterDecision",
    "MasterInfo",
    "MasterStatus",
    "Memory",
    "NightDetail",
    "NightGroup",
    "NightRow",
    "Nights",
    "Now",
    "Number",
    "OutdatedInfo",
    "Parameter",
    "PauseInfo",
    "PauseRequest",
    "Pixel",
    "Problem",
    "ProcessorInfo",
    "Processors",
    "ProductInfo",
    "Provenance",
    "ProvenanceStep",
    "QualityPoint",
    "Readiness",
    "Reloaded",
    "Saved",
    "Shape",
    "SourceInfo",
    "Sources",
    "StepInfo",
    "StepTime",
    "System",
    "TableColumn",
    "Tally",
    "Timing",
    "Uploaded",
    "UsedFile",
    "Validation",
    "Words",
    "Worker",
    "shapes",
]


def shapes() -> Iterator[type[Shape]]:
    """All models of answers and requests."""
    for name in __all__:
        thing = globals()[name]
        if isinstance(thing, type) and issubclass(thing, Shape) and thing is not Shape:
            yield thing
