"""Every processor tells a person what it does and what each of its parameters means."""

import pytest

from etendue.processors import processors

OURS = {name: processor for name, processor in processors().items() if processor.__module__.startswith("etendue.")}


@pytest.mark.parametrize("name", OURS)
def test_processor_says_what_it_does_in_one_line(name):
    text = OURS[name].__dict__.get("__doc__") or ""
    first = text.strip().partition("\n")[0]
    assert first.endswith("."), f"{name}: the docstring's first line is not a sentence: {first!r}"
    assert len(first) <= 120


@pytest.mark.parametrize("name", OURS)
def test_every_parameter_has_a_description(name):
    assert [field for field, info in OURS[name].model_fields.items() if not info.description] == []


@pytest.mark.parametrize("name", OURS)
def test_processor_declares_what_it_reads_or_writes(name):
    processor = OURS[name]
    assert processor.reads or processor.writes or processor.composite, f"{name} declares neither reads nor writes"
