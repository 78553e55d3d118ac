"""What a step reads must have been written."""

import pytest

from etendue.images import Image
from etendue.pipeline import Branch, Case, ConfigError, Fork, Pipeline, Stack, parse_pipeline
from etendue.pipeline.contracts import check_contracts
from etendue.processors import Processor


class Detect(Processor):
    """Detect."""

    reads = frozenset({"data", "mask?", "header.GAIN?"})
    writes = frozenset({"catalog", "catalog.x", "catalog.y", "catalog.flux_aper_1", "catalog.ra?"})


class Measure(Processor):
    """Measure."""

    reads = frozenset({"data", "catalog.x", "header.EXPTIME"})
    writes = frozenset({"catalog.mag"})


class NeedErrors(Processor):
    """Need the uncertainty."""

    reads = frozenset({"uncertainty"})
    writes = frozenset({"uncertainty?"})


class Guide(Processor):
    """Need a meta object."""

    reads = frozenset({"meta.PixelOffsets"})


class Read(Processor):
    """Read the columns that a test says."""

    reads = frozenset({"catalog.flux_aper_3", "catalog.ra", "catalog"})


def anything(image: Image) -> Image:
    return image


def found(*steps, **options):
    return [(problem.step, problem.message) for problem in check_contracts(Pipeline(steps=steps, **options))]


def test_what_is_written_before_is_not_missed():
    assert found(Detect(), Measure(), Read()) == []


def test_what_nobody_writes_is_named_with_one_who_would():
    ((step, message),) = found(Measure())
    assert step == "Measure"
    assert message.startswith("reads catalog.x, which no earlier step writes; put for example ")
    assert "SepSourceDetection" in message or "before it" in message


def test_order_matters():
    assert [step for step, _ in found(Measure(), Detect(), Measure())] == ["Measure"]


def test_files_may_bring_more():
    assert found(NeedErrors())[0][1].startswith("reads uncertainty, which no earlier step writes")
    assert found(NeedErrors(), expects=frozenset({"uncertainty"})) == []
    assert found(Measure(), expects=frozenset({"catalog"})) == []


def test_what_is_only_changed_is_not_made():
    assert len(found(NeedErrors(), NeedErrors())) == 2


def test_a_function_may_write_anything():
    assert found(anything, Measure(), NeedErrors(), Guide()) == []


def test_meta_must_be_written():
    assert found(Guide()) == [("Guide", "reads meta.PixelOffsets, which no earlier step writes")]


def test_one_case_that_writes_is_enough_and_cases_do_not_see_each_other():
    branch = Branch(
        cases=[Case(name="a", when={"A": 1}, steps=[Detect()]), Case(name="b", when={"A": 2}, steps=[Measure()])]
    )
    assert [step for step, _ in found(branch, Measure())] == ["Branch/b/Measure"]


def test_a_fork_writes_nothing_unless_it_keeps_a_result():
    chains = {"a": [Detect(), Measure()], "b": []}
    assert [step for step, _ in found(Fork(chains=chains), Measure())] == ["Measure"]
    assert found(Fork(chains=chains, keep="a"), Measure()) == []
    assert len(found(Fork(chains=chains, keep="b"), Measure())) == 1


def test_a_stack_has_no_catalog():
    assert [step for step, _ in found(Detect(), Stack(), Measure())] == ["Measure"]


def test_nested_chains_hand_on_what_they_write():
    assert found(Pipeline(name="inner", steps=[Detect()]), Measure()) == []


def test_problems_are_reported_with_their_line():
    text = "steps:\n- class: SaveCatalog\n- class: Fork\n  chains:\n    a:\n      - class: SepPhotometry\n"
    with pytest.raises(ConfigError) as caught:
        parse_pipeline(text, filename="photometry.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(
        "photometry.yaml:2:3: steps.1 (SaveCatalog): reads catalog, which no earlier step writes"
    )
    assert lines[1].startswith("photometry.yaml:6:9: steps.2.chains.a.1 (SepPhotometry): reads catalog.x and ")
    assert parse_pipeline(text, check=False).steps


def test_the_advice_for_a_missing_catalog_is_a_step_that_needs_none():
    (problem,) = check_contracts(parse_pipeline("steps: [{class: FilterSources}]", check=False))
    assert problem.message.endswith("put for example SepSourceDetection before it")
