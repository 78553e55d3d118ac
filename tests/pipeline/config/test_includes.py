"""`include`: chains from several files."""

from typing import Any

import pytest

from etendue.pipeline import ConfigError, load_pipeline


@pytest.fixture
def write(tmp_path):
    def write_file(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def problems(path, **options):
    with pytest.raises(ConfigError) as caught:
        load_pipeline(path, **options)
    return str(caught.value).splitlines()


def load(path, **options) -> Any:
    return load_pipeline(path, **options)


def labels(pipeline):
    return [step.label for step in pipeline.steps]


def test_a_step_entry_is_replaced_by_the_steps_of_the_file(write):
    write("parts/two.yaml", "steps: [{class: Stack, name: b}, {class: Stack, name: c}]")
    path = write("a.yaml", "steps:\n- {class: Stack, name: a}\n- include: parts/two.yaml\n- {class: Stack, name: d}\n")
    assert labels(load_pipeline(path)) == ["a", "b", "c", "d"]


def test_steps_of_included_files_come_first_and_own_words_win(write):
    write("base.yaml", "name: base\ndescription: kept\nkeywords: {gain: [A]}\nsteps: [{class: Stack, name: a}]")
    write("more.yaml", "steps: [{class: Stack, name: b}]")
    path = write(
        "x.yaml",
        "include: [base.yaml, more.yaml]\nname: own\nkeywords: {filter: [B]}\nsteps: [{class: Stack, name: c}]",
    )
    pipeline = load_pipeline(path)
    assert labels(pipeline) == ["a", "b", "c"]
    assert (pipeline.name, pipeline.description) == ("own", "kept")
    assert pipeline.keywords == {"gain": ["A"], "filter": ["B"]}


def test_variables_of_the_including_file_win(write):
    write("base.yaml", "vars: {n: 3, s: 2}\nsteps: [{class: Stack, size: '${n}', sigma: '${s}'}]")
    path = write("x.yaml", "include: base.yaml\nvars: {n: 5}\nname: n${n}s${s}\n")

    pipeline = load(path)
    assert (pipeline.steps[0].processor.size, pipeline.steps[0].processor.sigma) == (5, 2.0)
    assert pipeline.name == "n5s2"
    assert load(path, variables={"s": "7"}).steps[0].processor.sigma == 7.0


def test_chains_within_steps_include_as_well(write):
    write("inner.yaml", "steps: [{class: Stack, name: deep}]")
    path = write("x.yaml", "steps:\n- class: Branch\n  cases:\n  - when: {A: 1}\n    steps: [{include: inner.yaml}]\n")
    assert labels(load(path).steps[0].processor.cases[0].steps) == ["deep"]


def test_a_built_in_chain_is_included_by_name(write):
    path = write("x.yaml", "include: quicklook\nsteps: [{class: Stack}]")
    pipeline = load_pipeline(path)
    assert pipeline.name == "quicklook"
    assert labels(pipeline)[-1] == "Stack"


def test_a_circle_is_refused_with_its_files(write):
    write("b.yaml", "steps: [{include: c.yaml}]")
    write("c.yaml", "include: a.yaml\nsteps: []")
    path = write("a.yaml", "steps:\n- include: b.yaml\n")
    (found,) = problems(path)
    assert found.endswith("the files include each other: a.yaml -> b.yaml -> c.yaml -> a.yaml")
    assert "c.yaml:1:10: " in found


def test_problems_are_named_by_their_own_file(write):
    write("inner.yaml", "steps:\n- class: Stack\n  sise: 3\n")
    write("broken.yaml", "steps: [")
    path = write(
        "x.yaml", "steps:\n- include: inner.yaml\n- include: nothing.yaml\n- include: broken.yaml\n- include: 3\n"
    )
    found = problems(path)
    assert len(found) == 4
    for part in (
        "inner.yaml:3:3: steps.1 (Stack): unknown key 'sise'",
        "x.yaml:3:12: include: there is no file",
        "broken.yaml:1:9",
        "x.yaml:5:12: include: must be the name of a file",
    ):
        assert any(part in line for line in found), part


def test_a_flood_of_includes_is_refused(write):
    for k in range(12):
        write(f"f{k}.yaml", f"steps: [{{include: f{k + 1}.yaml}}, {{include: f{k + 1}.yaml}}]")
    write("f12.yaml", "steps: []")
    assert any("more than 200 files" in line for line in problems(write("x.yaml", "include: f0.yaml")))
