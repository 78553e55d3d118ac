"""Chains within chains: one chosen, or several at once."""

import asyncio
import time

import pytest

from etendue.images import Image, ImageError
from etendue.pipeline import Branch, Case, Fork, Pipeline, Stack, Step
from etendue.processors import Processor, RunContext, State, product_path, run_context


class Add(Processor):
    """Add a number to all pixels."""

    value: float = 1.0

    def process(self, image):
        return image.replace(data=image.data + self.value)


class Write(Processor):
    """Write an empty product."""

    filename: str = "x.txt"

    def process(self, image):
        product_path(self.filename).write_text("")
        return image


class Wait(Processor):
    """Wait."""

    async def __call__(self, image):
        await asyncio.sleep(0.2)
        return image


def fail(image):
    raise ImageError("no stars")


def drop(image):
    return None


@pytest.fixture
def image():
    return Image(data=[[1.0]], header={"EXPTIME": 10.0, "IMAGETYP": "dark"})


def in_context(run, processor, image, *state, **facts):
    context = RunContext(**facts)
    with run_context(context):
        return run(Pipeline(steps=[processor]), image, *state), context


def branch(**options):
    return Branch(
        cases=(
            Case(name="dark", when={"image_type": "dark"}, steps=[Add(value=10)]),
            Case(when={"EXPTIME": "> 5"}, steps=[Add(value=100)]),
        ),
        **options,
    )


def test_the_first_case_that_holds_is_taken(run, image):
    dark, _ = in_context(run, branch(), image)
    image.header["IMAGETYP"] = "object"
    light, _ = in_context(run, branch(), image)

    assert (dark.data[0, 0], light.data[0, 0]) == (11.0, 101.0)
    assert [a.step for a in dark.provenance] == ["Branch/dark/Add"]
    assert [a.step for a in light.provenance] == ["Branch/2/Add"]


def test_without_a_case_otherwise_decides(run):
    image = Image(data=[[1.0]], header={"EXPTIME": 1.0})
    assert in_context(run, branch(), image)[0].data[0, 0] == 1.0
    assert in_context(run, branch(otherwise="drop"), image)[0] is None
    assert in_context(run, branch(otherwise=[Add(value=5)]), image)[0].data[0, 0] == 6.0
    with pytest.raises(ImageError, match=r"fits no case \(dark: .*; 2: EXPTIME is 1, not > 5\)"):
        in_context(run, branch(otherwise="fail"), image)


def test_a_branch_of_functions_is_written_in_python(run, image):
    made = Branch(cases=[Case(when={"EXPTIME": 10}, steps=[lambda image: image * 3])])
    assert run(made, image).data[0, 0] == 3.0


def test_cases_have_different_names():
    with pytest.raises(ValueError, match="two cases are called '2'"):
        Branch(cases=[Case(when={"A": 1}, name="2", steps=[]), Case(when={"A": 2}, steps=[])])


def test_a_fork_leaves_the_image_as_it_was(run, image):
    made, context = in_context(run, Fork(chains={"a": [Add()], "b": [Add(value=2), Add()]}), image)
    assert made.data[0, 0] == 1.0
    assert made.provenance == ()
    names = {name for name, _, _ in context.timings}
    assert names == {"Fork", "Fork/a/Add", "Fork/b/Add", "Fork/b/Add-2"}


def test_a_fork_may_keep_one_result(run, image):
    made, _ = in_context(run, Fork(chains={"a": [Add()], "b": [Add(value=2)]}, keep="b"), image)
    assert made.data[0, 0] == 3.0
    assert [a.step for a in made.provenance] == ["Fork/b/Add"]
    assert in_context(run, Fork(chains={"a": [drop], "b": []}, keep="a"), image)[0] is None
    assert in_context(run, Fork(chains={"a": [drop], "b": []}), image)[0] is not None
    with pytest.raises(ValueError, match="there is no chain 'c'; there are a"):
        Fork(chains={"a": []}, keep="c")


def test_the_chains_of_a_fork_run_at_once(run, image):
    begin = time.perf_counter()
    run(Fork(chains={str(k): [Wait()] for k in range(5)}), image)
    assert time.perf_counter() - begin < 0.8


def test_an_error_in_one_chain_does_not_stop_the_others(run, image, tmp_path):
    fork = Fork(chains={"bad": [fail], "good": [Wait(), Write()]})
    context = RunContext(output=tmp_path)
    with run_context(context), pytest.raises(ImageError, match="no stars"):
        run(Pipeline(steps=[fork]), image)
    assert context.failed_step == "Fork/bad/fail"
    assert [product.name for product in context.products] == ["x.txt"]


def test_steps_inside_obey_their_own_policy(run, image):
    made, _ = in_context(run, Fork(chains={"a": [Step(processor=fail, on_error="warn")]}), image)
    assert made is not None
    made, _ = in_context(run, Step(processor=Fork(chains={"a": [fail]}), on_error="warn"), image)
    assert [(a.step, a.outcome) for a in made.provenance] == [("Fork", "warned")]


def test_two_chains_cannot_write_one_file(run, image, tmp_path):
    with pytest.raises(ImageError, match=r"chains a and b both wrote x.txt"):
        in_context(run, Fork(chains={"a": [Write()], "b": [Write()]}), image, output=tmp_path)


def test_sequential_steps_inside_remember_and_are_finished(image):
    fork = Fork(chains={"stack": [Stack(method="sum"), Add(value=0)], "other": []}, keep="stack")
    split = Branch(cases=[Case(name="dark", when={"image_type": "dark"}, steps=[fork])])
    pipeline, state = Pipeline(steps=[split, Add(value=100)]), State()

    async def series():
        assert [await pipeline(image, state) for _ in range(3)] == [None] * 3
        return [await leftover() async for leftover in pipeline.leftovers(state)]

    (result,) = asyncio.run(series())

    assert pipeline.sequential
    assert result.data[0, 0] == 103.0
    assert [a.step for a in result.provenance] == [
        "Branch/dark/Fork/stack/Stack",
        "Branch/dark/Fork/stack/Add",
        "Add",
    ]
