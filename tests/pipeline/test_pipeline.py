"""Processors in a row."""

import asyncio
import json

import pytest

from etendue.images import Image, ImageError
from etendue.pipeline import Pipeline, Step
from etendue.processors import Processor, RunContext, State, run_context


class Add(Processor):
    """Add a number to all pixels."""

    reads = frozenset({"data"})
    writes = frozenset({"data"})
    value: float = 1.0

    def process(self, image):
        return image.replace(data=image.data + self.value)


class Number(Processor):
    """Number the images of a series."""

    sequential = True

    def process(self, image, state):
        state["count"] = state.get("count", 0) + 1
        numbered = image.copy()
        numbered.header["NUMBER"] = state["count"]
        return numbered


class Hold(Processor):
    """Hold every image back until the end."""

    sequential = True

    def process(self, image, state):
        state.setdefault("held", []).append(image)

    def finish(self, state):
        return [lambda image=image: image for image in state.get("held", [])]


def double(image: Image, factor: float = 2.0) -> Image:
    return image * factor


async def halve(image: Image) -> Image:
    await asyncio.sleep(0)
    return image / 2


@pytest.fixture
def image():
    return Image(data=[[1.0, 2.0]])


def test_steps_follow_each_other(run, image):
    assert run(Add(value=1) | Add(value=2), image).data.tolist() == [[4.0, 5.0]]


def test_functions_and_coroutines_are_steps(run, image):
    pipeline = Add(value=1) | double | halve | Add()
    assert run(pipeline, image).data.tolist() == [[3.0, 4.0]]
    assert [step.label for step in pipeline.steps] == ["Add", "double", "halve", "Add-2"]
    assert run(double | Add(), image).data.tolist() == [[3.0, 5.0]]


def test_what_is_no_step_is_refused():
    with pytest.raises(TypeError):
        Add() | 3


def test_unnamed_chains_merge_and_named_ones_nest(run, image):
    inner = Pipeline(name="inner", steps=[Add(), Add()])
    merged, nested = (Add() | Add()) | (Add() | Add()), Add() | inner

    assert [step.label for step in merged.steps] == ["Add", "Add-2", "Add-3", "Add-4"]
    assert [step.label for step in nested.steps] == ["Add", "inner"]
    assert [a.step for a in run(nested, image).provenance] == ["Add", "inner/Add", "inner/Add-2"]


def test_names_stay_unique_beside_given_ones():
    steps = [Add(), Step(processor=Add(), name="Add-2"), Add()]
    assert [step.label for step in Pipeline(steps=steps).steps] == ["Add", "Add-2", "Add-3"]


def test_none_ends_the_chain(run, image):
    context = RunContext()
    with run_context(context):
        assert run(Pipeline(steps=[Add(), lambda image: None, Add()]), image) is None
    assert [(name, outcome) for name, _, outcome in context.timings] == [("Add", "done"), ("<lambda>", "ended")]
    assert context.ended_because == "the step returned no image, which ends it here"


def test_a_sequential_step_remembers_across_images_of_one_state(run, image):
    pipeline, state = Pipeline(steps=[Pipeline(name="in", steps=[Number()])]), State()
    assert pipeline.sequential
    assert [run(pipeline, image, state).header["NUMBER"] for _ in range(3)] == [1, 2, 3]
    assert run(pipeline, image, State()).header["NUMBER"] == 1


def test_two_sequential_steps_do_not_share_their_memory(run, image):
    state = State()
    run(Number() | Add() | Number(), image, state)
    assert set(state) == {"Number", "Number-2"}


def test_a_sequential_chain_without_a_state_says_what_to_do(run, image):
    with pytest.raises(TypeError, match=r"use pipeline\.run"):
        run(Pipeline(steps=[Number()]), image)


def test_what_is_held_back_goes_through_the_later_steps(image):
    pipeline, state = Add() | Hold() | Add(value=10), State()

    async def series():
        assert [await pipeline(image, state) for _ in range(2)] == [None, None]
        return [await leftover() async for leftover in pipeline.leftovers(state)]

    results = asyncio.run(series())

    assert [result.data.tolist() for result in results] == [[[12.0, 13.0]]] * 2
    assert [a.step for a in results[0].provenance] == ["Add", "Hold", "Add-2"]


def test_one_chain_serves_many_images_at_once():
    pipeline = Add() | double | halve

    async def many():
        return await asyncio.gather(*(pipeline(Image(data=[[float(k)]])) for k in range(50)))

    assert [result.data[0, 0] for result in asyncio.run(many())] == [k + 1.0 for k in range(50)]


def test_its_keywords_hold_inside_only(run):
    image = Image(data=[[1.0]], header={"XPOSURE": 40.0})
    pipeline = Pipeline(
        keywords={"exposure_time": "XPOSURE"},
        steps=[Step(processor=Add(), when={"exposure_time": "> 30"})],
    )
    assert run(pipeline, image).provenance[0].outcome == "done"
    assert image.exposure_time is None
    with pytest.raises(ValueError, match="did you mean 'exposure_time'"):
        Pipeline(keywords={"exposure_tme": ["X"]}, steps=[])


def test_the_fingerprint_tells_chains_apart():
    base = Pipeline(steps=[Add()])
    assert base.fingerprint == Pipeline(steps=[Add(value=1.0)]).fingerprint
    others = [
        Pipeline(steps=[Add(value=2)]),
        Pipeline(steps=[Step(processor=Add(), on_error="warn")]),
        Pipeline(steps=[Add(), Add()]),
        Pipeline(steps=[double]),
        Pipeline(steps=[Add()], keywords={"gain": ["G"]}),
        Pipeline(steps=[Pipeline(name="in", steps=[Add()])]),
        Pipeline(steps=[Pipeline(name="in", steps=[double])]),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_travels_as_json():
    pipeline = Pipeline.model_validate(
        {
            "name": "x",
            "steps": [
                {"class": "Stack", "size": 3},
                {"class": "Branch", "cases": [{"when": {"A": 1}, "steps": [{"class": "Stack", "name": "s"}]}]},
                {"class": "Pipeline", "name": "inner", "steps": [{"class": "Stack", "on_error": "warn"}]},
            ],
        }
    )
    assert Pipeline.model_validate(json.loads(pipeline.model_dump_json())) == pipeline


def test_the_failing_step_is_named_with_its_chain(run, image):
    def failing(image):
        raise ImageError("no")

    context = RunContext()
    with run_context(context), pytest.raises(ImageError) as caught:
        run(Add() | Pipeline(name="inner", steps=[Add(), failing]), image)
    assert context.failed_step == "inner/failing"
    assert caught.value.__notes__ == ["in step inner/failing"]
