"""`vars` and `${…}`."""

from typing import Any

import pytest

from etendue.pipeline import ConfigError, parse_pipeline


def chain(text, **options):
    return parse_pipeline(text, filename="a.yaml", **options)


def stack(text, **options) -> Any:
    return chain(text, **options).steps[0].processor


def problems(text, **options):
    with pytest.raises(ConfigError) as caught:
        chain(text, **options)
    return str(caught.value).splitlines()


def test_a_whole_value_keeps_its_type():
    step = "{class: Stack, size: '${n}', group: '${keys}', consecutive: '${ c }'}"
    text = f"vars: {{n: 3, keys: [OBJECT, FILTER], c: true}}\nsteps: [{step}]"
    made = stack(text)
    assert (made.size, made.group, made.consecutive) == (3, ("OBJECT", "FILTER"), True)


def test_within_text_the_value_is_written_out():
    text = 'vars: {a: 3, b: true, c: }\ndescription: "<${a}-${b}-${c}> $${a} $5 ${a}"\nsteps: []'
    assert chain(text).description == "<3-true-> ${a} $5 3"


def test_variables_may_refer_to_each_other():
    text = 'vars: {full: "${first} ${last}", first: Edwin, last: "${l}", l: Hubble}\nname: "${full}"\nsteps: []'
    assert chain(text).name == "Edwin Hubble"


def test_values_from_outside_win_and_are_read_as_yaml():
    text = "vars: {n: 3, s: 2.0}\nsteps: [{class: Stack, size: '${n}', sigma: '${s}'}]"
    assert stack(text, variables={"n": "5", "s": 4}).size == 5
    assert stack(text, variables={"n": "5", "s": 4}).sigma == 4.0
    assert chain("vars: {a: x}\nname: '${a}'\nsteps: []", variables={"a": '"3"'}).name == "3"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("vars: {size: 3}\nname: ${sise}\nsteps: []", "a.yaml:2:7: unknown variable 'sise', did you mean 'size'?"),
        ("vars: {a: '${b}', b: '${a}'}\nsteps: []", "refers to itself: a -> b -> a"),
        ("vars: {a: [1]}\nname: 'x${a}'\nsteps: []", "a.yaml:2:7: variable 'a' is a list or mapping"),
        ("name: 'x${a'\nsteps: []", "a.yaml:1:7: '${' without a closing brace"),
        ("name: '${1 + 1}'\nsteps: []", "a.yaml:1:7: '${1 + 1}' names no variable"),
    ],
)
def test_wrong_references_are_reported_once(text, problem):
    found = problems(text)
    assert len(found) == 1
    assert problem in found[0]


def test_an_unknown_variable_from_outside_is_reported():
    (found,) = problems("vars: {threshold: 3}\nsteps: []", variables={"treshold": "3"})
    assert found == "--var treshold: unknown variable 'treshold', did you mean 'threshold'?"


def test_a_wrong_value_from_outside_says_where_it_is_used():
    (found,) = problems("vars: {n: 3}\nsteps:\n- class: Stack\n  size: ${n}", variables={"n": "many"})
    assert found == "a.yaml:4:9: steps.1 (Stack): size: 'many' is not a whole number"
    (found,) = problems("vars: {n: 3}\nsteps: []", variables={"n": "[1"})
    assert found.startswith("--var n: ")


def test_variables_cannot_grow_without_bound():
    lists = "\n".join(
        f"  v{k}: ['${{v{k - 1}}}', '${{v{k - 1}}}', '${{v{k - 1}}}', '${{v{k - 1}}}']" for k in range(1, 30)
    )
    assert "values when its variables are followed" in problems(f"vars:\n  v0: 1\n{lists}\nsteps: []")[0]
    texts = "\n".join(f"  v{k}: '${{v{k - 1}}}${{v{k - 1}}}${{v{k - 1}}}'" for k in range(1, 30))
    assert "characters when its variables are followed" in problems(f"vars:\n  v0: lol\n{texts}\nsteps: []")[0]
