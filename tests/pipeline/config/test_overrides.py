"""`--set`: another value without another file."""

from typing import Any

import pytest

from etendue.pipeline import ConfigError, parse_pipeline

TEXT = """\
steps:
  - class: Stack
  - class: Stack
    name: last
    on_error: warn
  - class: Branch
    cases:
      - name: light
        when: {image_type: object}
        steps: [{class: Stack, group: [A, B]}]
      - when: {image_type: dark}
        steps: []
  - class: Fork
    chains: {one: [{class: Stack}]}
  - class: etendue.pipeline.composition.stack.Stack
"""


def chain(*overrides, **mapping) -> Any:
    return parse_pipeline(TEXT, filename="a.yaml", overrides=overrides or mapping)


@pytest.mark.parametrize("name", ["Stack", "1"])
def test_a_step_is_found_by_class_and_number(name):
    assert chain(f"steps.{name}.size=3").steps[0].processor.size == 3


def test_a_step_is_found_by_name_and_position():
    pipeline = chain("steps.last.size=4", "steps.2.sigma=5", "steps.last.on_error=drop")
    assert (pipeline.steps[1].processor.size, pipeline.steps[1].processor.sigma) == (4, 5.0)
    assert pipeline.steps[1].on_error == "drop"


def test_values_are_yaml():
    assert chain("steps.1.group=[OBJECT, filter]").steps[0].processor.group == ("OBJECT", "filter")
    assert chain("steps.1.retry={attempts: 2, backoff: 1 s}").steps[0].retry.attempts == 2
    assert chain("steps.1.retry.attempts=4").steps[0].retry.attempts == 4
    assert chain("steps.1.when.EXPTIME=> 30").steps[0].when.root == {"EXPTIME": "> 30"}


def test_steps_within_steps_are_reached():
    pipeline = chain("steps.Branch.cases.light.steps.Stack.size=3", "steps.Fork.chains.one.Stack.size=6")
    assert pipeline.steps[2].processor.cases[0].steps.steps[0].processor.size == 3
    assert pipeline.steps[3].processor.chains["one"].steps[0].processor.size == 6
    assert chain("steps.Branch.cases.light.steps.1.group.2=C").steps[2].processor.cases[0].steps.steps[
        0
    ].processor.group == ("A", "C")


def test_a_dotted_class_is_found_by_its_path():
    pipeline = chain("steps.etendue.pipeline.composition.stack.Stack.size=9")
    assert pipeline.steps[4].processor.size == 9


def test_a_mapping_does_as_well():
    assert chain(**{"steps.Stack.size": 3}).steps[0].processor.size == 3


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("steps.Stak.size=3", "there is no step 'Stak', did you mean 'Stack'?"),
        ("steps.9.size=3", "there is no step '9'"),
        ("steps.1.sise=3", "steps.1 (Stack): unknown key 'sise', did you mean 'size'?"),
        ("steps.1.size=many", "steps.1 (Stack): size: 'many' is not a whole number"),
        ("steps.Branch.cases.lite.steps.Stack.size=3", "there is no item 'lite', did you mean 'light'?"),
        ("steps.Fork.chans.one.Stack.size=3", "unknown key 'chans'"),
        ("steps.1=3", "'1' is a step; add the key to set"),
        ("stps.1.size=3", "there is no 'stps', did you mean 'steps'?"),
        ("steps.1.size", "write steps.NAME.KEY=VALUE"),
        ("steps..size=3", "write steps.NAME.KEY=VALUE"),
        ("steps.1.size=[1", "--set steps.1.size=[1: "),
        ("steps.last.on_error.x=3", "'x' cannot be set"),
    ],
)
def test_a_wrong_path_or_value_is_reported_with_the_option(override, problem):
    with pytest.raises(ConfigError) as caught:
        chain(override)
    assert f"--set {override}: " in str(caught.value)
    assert problem in str(caught.value)
