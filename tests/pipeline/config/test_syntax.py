"""How a chain file is read, before anybody knows what it means."""

import math
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from etendue.pipeline import ConfigError, parse_pipeline
from etendue.pipeline.config.nodes import SyntaxProblem, plain, read_tree


def read(text):
    return plain(read_tree(text, "a.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("12:30:00", "12:30:00"),
        ("2024-05-31", "2024-05-31"),
        ("1e-3", 1e-3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("+5", 5),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ('"3"', "3"),
        ("'true'", "true"),
        ("=", "="),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    found = read(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(read("key: .nan")["key"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1: key 'a' is already set in line 1"),
        ("a: !!python/object:os.system x", "a.yaml:1:4: the tag !!python/object:os.system is not allowed"),
        ("a:\n  - !x 1", "a.yaml:2:5: the tag !x is not allowed"),
        ("a: !!str 1", "a.yaml:1:4: the tag !!str is not allowed"),
        ("a: !!binary aGVsbG8=", "the tag !!binary is not allowed"),
        ("a: [1, 2", "a.yaml:1:9: "),
        ("a:\n\t- 1", "a.yaml:2:1: a tab cannot indent; use blanks"),
        ("a: b: c", "a.yaml:1:5: a colon where no key is expected"),
        ("a: *b", "a.yaml:1:4: *b stands for nothing"),
        ("a: &a [*a]", "a.yaml:1:8: *a stands for nothing"),
        ("? [1]\n: 2", "a.yaml:1:3: a key must be a word"),
        ("a: 1\n---\nb: 2", "a.yaml:2:1: a second document"),
        ("a: \x07", "a.yaml:1:4: character U+0007 is not allowed"),
        ("a: " + "[" * 100 + "]" * 100, "nested more than 60 deep"),
        ("<<: 3", "a.yaml:1:5: << takes a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(text, problem):
    with pytest.raises(ConfigError) as caught:
        parse_pipeline(text, filename="a.yaml")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_billion_laughs_are_refused_at_once():
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12)]
    begin = time.perf_counter()
    with pytest.raises(SyntaxProblem, match="when its aliases are followed"):
        read("\n".join(lines))
    assert time.perf_counter() - begin < 1


def test_aliases_and_merge_keys_spare_repetition():
    text = "common: &c {a: 1, b: 2}\none: {<<: *c, b: 3}\ntwo: {<<: [*c, {d: 4}]}\nthree: *c"
    assert read(text) == {
        "common": {"a": 1, "b": 2},
        "one": {"a": 1, "b": 3},
        "two": {"a": 1, "b": 2, "d": 4},
        "three": {"a": 1, "b": 2},
    }


def test_a_key_stays_the_word_that_it_is():
    assert read("on: 1\n010: 2\nnull: 3") == {"on": 1, "010": 2, "null": 3}


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text("abc xyz:#-'\"$é\n", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(plain_data)
def test_reads_what_another_writer_wrote(data):
    assert read(yaml.safe_dump({"key": data}, allow_unicode=True)) == {"key": data}
