"""Drawings of chains."""

import pytest

from etendue.pipeline import Branch, Case, Fork, Pipeline, Stack, Step, load_pipeline
from etendue.pipeline.graph import to_mermaid, to_text


@pytest.fixture
def pipeline():
    return Pipeline(
        name="night",
        description="All of it.",
        steps=[
            Step(processor=Stack(size=3, group=("OBJECT",)), on_error="warn", when={"EXPTIME": "> 30"}),
            Branch(
                cases=[Case(name="dark", when={"image_type": "dark"}, steps=[Stack()])],
                otherwise="drop",
            ),
            Fork(chains={"a": [Stack()], "b": [Stack(), Stack()]}),
            Pipeline(name="inner", steps=[Stack(method="sum")]),
        ],
    )


def test_text_shows_steps_settings_and_policies(pipeline):
    assert to_text(pipeline).splitlines() == [
        "night: All of it.",
        "├─ Stack  group: [OBJECT], size: 3  (when: {EXPTIME: > 30}, on_error: warn)",
        "├─ Branch",
        "│  ├─ [dark: image_type: dark]",
        "│  │  └─ Stack",
        "│  └─ [otherwise: drop]",
        "├─ Fork",
        "│  ├─ [a]",
        "│  │  └─ Stack",
        "│  └─ [b]",
        "│     ├─ Stack",
        "│     └─ Stack-2 (Stack)",
        "└─ inner (Pipeline)",
        "   └─ Stack  method: sum",
    ]


def test_mermaid_links_every_node_and_quotes_signs(pipeline):
    lines = to_mermaid(pipeline).splitlines()
    assert lines[0] == "flowchart TD"
    nodes = {line.split("[")[0].split("(")[0].split("{")[0].strip() for line in lines[1:] if "-->" not in line}
    linked = {part.strip() for line in lines if "-->" in line for part in (line.split("-->")[0], line.split()[-1])}
    assert nodes == linked
    assert any("EXPTIME: &gt; 30" in line for line in lines)
    assert sum("Stack" in line for line in lines) == 6


def test_functions_can_be_drawn():
    def brighten(image):
        return image

    assert "brighten" in to_text(Pipeline(steps=[brighten]))


def test_built_in_chains_are_drawn():
    assert "SepSourceDetection" in to_text(load_pipeline("photometry"))
    assert "SepSourceDetection" in to_mermaid(load_pipeline("photometry"))
