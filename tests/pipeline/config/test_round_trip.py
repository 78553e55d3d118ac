"""A pipeline written as YAML, and the schema of such files."""

import json

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from etendue.pipeline import (
    Branch,
    Case,
    Fork,
    Pipeline,
    Retry,
    Stack,
    Step,
    builtin_chains,
    json_schema,
    load_pipeline,
    parse_pipeline,
    to_yaml,
)
from etendue.pipeline.config.schema import properties_of
from etendue.processors import Processor


def back(pipeline):
    return parse_pipeline(to_yaml(pipeline), check=False)


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))


COMPLEX = Pipeline(
    name="all of it",
    description="costs ${nothing}: 5 $, on",
    keywords={"exposure_time": ["XPOSURE"]},
    read={"data": "SCI"},
    expects=frozenset({"mask"}),
    steps=[
        Step(
            processor=Stack(group=("OBJECT", "filter"), size=3, sigma=1e-7),
            when={"EXPTIME": "> 30", "FILTER": ["R", "on", "010"]},
            on_error="warn",
            retry=Retry(attempts=2, backoff=0.5),
            timeout=60,
        ),
        Stack(),
        Branch(
            cases=(Case(name="light", when={"A": 1}, steps=[Stack(size=2)]), Case(when={"B": True}, steps=[])),
            otherwise=[Stack(method="sum")],
        ),
        Branch(cases=(Case(when={"A": 1}, steps=[Stack()]),), otherwise="fail"),
        Fork(chains={"one": [Stack(), Stack()], "two": []}, keep="one"),
        Pipeline(name="inner", steps=[Stack(size=7)]),
        Pipeline(steps=[Stack(size=8)]),
        Pipeline(steps=[Stack(size=9)]),
    ],
)


def test_what_is_written_loads_to_an_equal_pipeline(validator):
    assert back(COMPLEX) == COMPLEX
    assert back(COMPLEX).fingerprint == COMPLEX.fingerprint
    validator.validate(yaml.safe_load(to_yaml(COMPLEX)))


def test_defaults_are_left_out():
    assert to_yaml(Pipeline(steps=[Stack(size=3)])) == "steps:\n- class: Stack\n  size: 3\n"


@given(st.text(max_size=20), st.floats(1e-300, 1e300), st.lists(st.text("ABC-on01:${}", min_size=1), max_size=3))
def test_any_text_and_number_survives(text, number, cards):
    pipeline = Pipeline(
        description=text.replace("\x00", ""),
        keywords={"gain": cards},
        steps=[Stack(sigma=number)],
    )
    try:
        made = back(pipeline)
    except ValueError:
        assert any(not sign.isprintable() for sign in text)
        return
    assert made == pipeline


def test_a_step_that_cannot_be_found_again_is_refused():
    class Local(Processor):
        """Defined in a function."""

    with pytest.raises(ValueError, match="cannot be imported by its name"):
        to_yaml(Pipeline(steps=[Local()]))


@pytest.mark.parametrize("name", sorted(builtin_chains()))
def test_built_in_chains_load_and_fit_the_schema(name, validator):
    path = builtin_chains()[name]
    pipeline = load_pipeline(name)
    assert pipeline.name == name
    assert pipeline.description
    assert back(pipeline) == pipeline
    assert path.read_text().startswith("# yaml-language-server: $schema=")
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{class: Stack, size: '${n}', group: '${keys}', method: '${m}', consecutive: '${c}'}]",
        "include: quicklook",
        "steps: [{include: quicklook}, {class: my.own.Step, anything: 3}]",
        "steps: [{class: Stack, when: {exposure_time: '> 3', catalog: present}, timeout: 3 s, retry: {attempts: 2}}]",
        "steps: [{class: Fork, chains: {a: [{class: Stack}]}}]",
        "vars: {a: [1]}\nsteps: []",
    ],
)
def test_the_schema_accepts_what_loads(text, validator):
    validator.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{class: Stack, sise: 3}]",
        "steps: [{class: Stack, size: abc}]",
        "steps: [{class: Stack, method: medain}]",
        "steps: [{class: Stak}]",
        "steps: [{size: 3}]",
        "steps: [{class: Fork, chains: {a: [{class: Stack, sise: 3}]}}]",
        "steps: [{class: Branch, cases: [{when: {A: 1}, stps: []}]}]",
        "steps: [{class: Stack, on_error: never}]",
        "step: []",
        "name: x",
    ],
)
def test_the_schema_refuses_what_does_not_load(text, validator):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(yaml.safe_load(text))


def test_the_schema_tells_editors_names_and_descriptions(validator):
    definitions = validator.schema["$defs"]
    names = {entry["const"]: entry for entry in definitions["step"]["properties"]["class"]["anyOf"] if "const" in entry}
    assert {"Stack", "Branch", "Fork", "Save", "SepSourceDetection"} <= set(names)
    assert names["Stack"]["description"].startswith("Combine images")
    assert definitions["step.Stack"]["properties"]["size"]["description"].startswith("images of a complete stack")
    assert definitions["step.Stack"]["properties"]["on_error"]["description"]


def test_a_parameter_that_only_python_can_give_spoils_only_itself():
    class Strange(Processor):
        """Takes an array."""

        kernel: np.ndarray = Field(np.ones(3), description="weights")
        size: int = 3

    properties = properties_of(Strange, {})
    assert properties["kernel"] == {"description": "weights"}
    assert {"type": "integer"} in properties["size"]["anyOf"]


@pytest.mark.parametrize(
    "short", ["keywords: {exposure_time: XPOSURE}\nsteps: []", "steps: [{class: Stack, group: FILTER}]"]
)
def test_what_may_be_one_word_instead_of_a_list_is_so_in_the_schema(validator, short):
    assert parse_pipeline(short)
    validator.validate(yaml.safe_load(short))
