"""Errors in chains read like a compiler's: file, line, column, step, and what to write instead."""

import pytest

from etendue.pipeline import ConfigError, load_pipeline, parse_pipeline


def problems(text, **options):
    with pytest.raises(ConfigError) as caught:
        parse_pipeline(text, filename="photometry.yaml", **options)
    return str(caught.value).splitlines()


def test_a_misspelt_key_is_reported_as_the_design_says():
    text = "name: x\nsteps:\n- class: SubtractBackground\n- class: SepSourceDetection\n    \n  treshold: 3\n"
    assert problems(text) == [
        "photometry.yaml:6:3: steps.2 (SepSourceDetection): unknown key 'treshold', did you mean 'threshold'?"
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("size: abc", "3:9: steps.1 (Stack): size: 'abc' is not a whole number"),
        ("size: 2.5", "3:9: steps.1 (Stack): size: 2.5 is not a whole number"),
        ("size: 0", "3:9: steps.1 (Stack): size: must be greater than 0, not 0"),
        ("sigma: [3]", "3:10: steps.1 (Stack): sigma: [3] is not a number"),
        ("sigma: many", "3:10: steps.1 (Stack): sigma: 'many' is not a number"),
        ("consecutive: maybe", "3:16: steps.1 (Stack): consecutive: 'maybe' is neither true nor false"),
        (
            "method: medain",
            "3:11: steps.1 (Stack): method: 'medain' is not one of mean, median, sum, clipped, did you mean 'median'?",
        ),
        ("group: {a: 1}", "3:10: steps.1 (Stack): group: a mapping is not a list"),
        ("group: [[1]]", "3:11: steps.1 (Stack): group.1: [1] is not text; put it in quotes"),
        (
            "on_error: wrn",
            "3:13: steps.1 (Stack): on_error: 'wrn' is not one of fail, warn, drop, did you mean 'warn'?",
        ),
        ("timeout: 3 parsec", "3:12: steps.1 (Stack): timeout: '3 parsec' is not a duration"),
        ("retry: {attemps: 3}", "3:11: steps.1 (Stack): retry: unknown key 'attemps', did you mean 'attempts'?"),
        ("retry: {attempts: 0}", "3:21: steps.1 (Stack): retry.attempts: must be greater than 0, not 0"),
        ("when: {EXPTIME: => 3}", "3:9: steps.1 (Stack): when: EXPTIME: unknown operator '=>'"),
        ("when: 3", "3:9: steps.1 (Stack): when: 3 is not a mapping of keys to tests; write for example {EXPTIME: "),
        ("when: {EXPTIME: ~}", "3:9: steps.1 (Stack): when: EXPTIME: a test is a number, text or a list of them"),
        ("when: {FILTER: [[R]]}", "3:9: steps.1 (Stack): when: FILTER: a test is a number, text or a list of them"),
        ("sigma:", "3:9: steps.1 (Stack): sigma: an empty value is not a number"),
        ("size: true", "3:9: steps.1 (Stack): size: true or false is not a number"),
        ("timeout: 0", "3:12: steps.1 (Stack): timeout: must be greater than 0, not 0"),
        ("timeout: .inf", "3:12: steps.1 (Stack): timeout: inf is not a finite number"),
        ("timeout: true", "3:12: steps.1 (Stack): timeout: true or false is not a number"),
        ("retry: 3", "3:10: steps.1 (Stack): retry: 3 is not a mapping; write for example {attempts: 3, backoff: 2 s}"),
        ("retry: {attempts: true}", "3:10: steps.1 (Stack): retry: true or false is not a number"),
    ],
)
def test_wrong_values_are_described_in_words(lines, problem):
    (found,) = problems(f"steps:\n- class: Stack\n  {lines}\n")
    assert found.startswith("photometry.yaml:" + problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the file is empty"),
        ("hello", "1:1: this is no chain"),
        ("- class: Stack", "1:1: this is no chain; write 'steps:' above the list"),
        ("name: x", "1:1: 'steps' is missing"),
        ("step:\n- class: Stack", "1:1: unknown key 'step', did you mean 'steps'?"),
        ("steps: Stack", "1:8: steps: must be a list"),
        ("steps: [Stack]", "1:9: steps.1: a step is a mapping that begins with 'class: …'"),
        ("steps: [{size: 3}]", "1:9: steps.1: 'class' is missing: the name of a processor"),
        ("steps: [{clas: Stack}]", "1:9: steps.1: 'class' is missing; is 'clas' meant to be it?"),
        ("steps: [{Class: Stack}]", "1:9: steps.1: 'class' is missing; is 'Class' meant to be it?"),
        ("steps: [{class: Fork, chains: {a: {class: Stack}}}]", "1:35: steps.1.chains.a: must be a list: one entry"),
        (
            "steps: [{class: Fork, chains: {a: Stack}}]",
            "1:35: steps.1 (Fork): chains.a: 'Stack' is not a list of steps",
        ),
        ("steps: [{class: Fork, chains: [[{class: Stack}]]}]", "1:31: steps.1 (Fork): chains: a list is not a mapping"),
        ("steps: [{class: 3}]", "1:17: steps.1: class: must be the name of a processor"),
        ("steps: [{class: Stak}]", "1:17: steps.1: unknown processor 'Stak', did you mean 'Stack'?"),
        ("steps: [{class: no.such.Thing}]", "1:17: steps.1: cannot import 'no.such.Thing'"),
        ("steps: [{class: os.path.join}]", "1:17: steps.1: 'os.path.join' is not a processor"),
        ("steps: [{class: AddFitsHeaders}]", "1:9: steps.1 (AddFitsHeaders): 'headers' is missing: "),
        ("name: [x]\nsteps: []", "1:7: name: ['x'] is not text"),
        ("keywords: {exposure_tme: [X]}\nsteps: []", "1:11: keywords: unknown property 'exposure_tme'"),
        ("vars: 3\nsteps: []", "1:7: vars: must be a mapping"),
        ("read: {maks: DQ}\nsteps: []", "1:7: read: no reader has an option 'maks'; there are dtype, "),
        ("read: {mask: {extnsion: DQ}}\nsteps: []", "1:7: read: wrong description of the FITS layout: mask.extnsion: "),
        ("read: {layout: decam}\nsteps: []", "1:7: read: unknown FITS layout 'decam'; there are community_pipeline"),
        ("read: {dtype: flaot32}\nsteps: []", "1:7: read: dtype: 'flaot32' is no type of numbers"),
        ("expects: [maks]\nsteps: []", "1:10: expects: files bring no 'maks'; they bring data, mask, "),
    ],
)
def test_wrong_structure_is_described_in_words(text, problem):
    assert any(found.startswith("photometry.yaml:" + problem) for found in problems(text))


def test_all_problems_come_at_once_in_the_order_of_lines():
    text = """\
nam: x
vars: {a: "${b}"}
steps:
  - class: Stack
    size: abc
    grup: [OBJECT]
  - class: Stak
  - class: Stack
    sigma: ${sgma}
    on_error: never
"""
    assert [line.split(":")[1] for line in problems(text)] == ["1", "2", "5", "6", "7", "9", "10"]


def test_problems_inside_chains_of_chains_are_found():
    text = """\
steps:
  - class: Branch
    cases:
      - name: light
        when: {image_type: object}
        steps:
          - class: Fork
            chains:
              one:
                - class: Stack
                  sise: 3
      - when: {EXPTIME: "=> 3"}
        steps: [{class: Stak}]
        stps: []
    otherwise: [{class: Stack, size: x}]
  - class: Pipeline
    steps: [{class: Stack, size: y}]
"""
    assert problems(text) == [
        "photometry.yaml:11:19: steps.1.cases.light.steps.1.chains.one.1 (Stack): "
        "unknown key 'sise', did you mean 'size'?",
        "photometry.yaml:12:15: steps.1 (Branch): cases.2.when: EXPTIME: unknown operator '=>' in '=> 3'; "
        "there are > >= < <= == !=",
        "photometry.yaml:13:25: steps.1.cases.2.steps.1: unknown processor 'Stak', did you mean 'Stack'?",
        "photometry.yaml:14:9: steps.1 (Branch): cases.2: unknown key 'stps', did you mean 'steps'?",
        "photometry.yaml:15:38: steps.1.otherwise.1 (Stack): size: 'x' is not a whole number",
        "photometry.yaml:17:34: steps.2.steps.1 (Stack): size: 'y' is not a whole number",
    ]


def test_a_word_where_steps_belong_is_one_problem():
    (found,) = problems("steps:\n- class: Branch\n  cases: [{when: {A: 1}, steps: []}]\n  otherwise: psas\n")
    assert "'psas' is not one of pass, drop, fail, did you mean 'pass'?" in found
    (found,) = problems("steps:\n- class: Fork\n  chains: {a: Stack}\n")
    assert found.startswith("photometry.yaml:3:15: steps.1 (Fork): chains.a: 'Stack' is not")


def test_nothing_is_imported_or_run_for_a_chain_without_a_path(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "cannot import 'evil.Step': SystemError: imported" in problems("steps: [{class: evil.Step}]")[0]
    parse_pipeline("name: evil.Step\nsteps: []\n")


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file 'nothing.yaml'"):
        load_pipeline("nothing.yaml")
    with pytest.raises(ConfigError, match="there is no chain 'photmetry', did you mean 'photometry'"):
        load_pipeline("photmetry")
    with pytest.raises(ConfigError, match="is a folder, not a chain file"):
        load_pipeline(tmp_path)
    binary = tmp_path / "frame.yaml"
    binary.write_bytes(b"SIMPLE\xff\xfe")
    with pytest.raises(ConfigError, match=r"frame.yaml: is not a text file in UTF-8"):
        load_pipeline(binary)


def test_a_contract_is_checked_beside_other_mistakes():
    text = "steps:\n- class: SepPhotometry\n- class: Stack\n  sise: 3\n"
    contract, misspelt = problems(text)
    assert "2:3: steps.1 (SepPhotometry): reads catalog.x and catalog.y, which no earlier step writes" in contract
    assert "unknown key 'sise'" in misspelt


@pytest.mark.parametrize(
    "text",
    [
        "steps:\n- class: Nobody\n- class: SepPhotometry\n",
        "steps:\n- class: SepSourceDetection\n  treshold: 3\n- class: SepPhotometry\n",
        "steps:\n- class: SepSourceDetection\n  threshold: ${nobody}\n- class: SepPhotometry\n",
        "include: nobody.yaml\nsteps:\n- class: SepPhotometry\n",
        "steps:\n- include: nobody.yaml\n- class: SepPhotometry\n",
    ],
)
def test_what_a_broken_step_would_have_written_is_not_missed_as_well(text):
    assert len(problems(text)) == 1


def test_an_open_brace_is_one_problem():
    (found,) = problems("steps:\n- class: Stack\n  size: ${n\n")
    assert "without a closing brace" in found
