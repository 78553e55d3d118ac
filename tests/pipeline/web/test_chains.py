"""Chains on the page: drawing, validation of what strangers write, saving."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.web.clerk.chains import validate_chain
from tests.pipeline.web.conftest import Page
from tests.pipeline.web.demo import CHANGE_TOKEN, DemoService

RIGHT = "steps:\n  - class: SubtractBackground\n"


def validated(text: str, **more: Any) -> Any:
    return json.loads(validate_chain(text=text, **more)["json"])


def test_problems_stand_at_their_lines():
    found = validated("steps:\n  - class: SepSourceDetection\n    treshold: 3\n  - class: Nothing\n")

    assert not found["valid"]
    assert [(p["line"], p["column"]) for p in found["problems"]] == [(3, 5), (4, 12)]
    assert "did you mean 'threshold'?" in found["problems"][0]["message"]
    assert found["problems"][0]["where"] == "steps.1 (SepSourceDetection)"


def test_yaml_that_is_none_has_a_line():
    assert validated("steps: [")["problems"][0]["line"] == 2 or validated("steps: [")["problems"][0]["line"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "steps:\n  - class: os.system\n",
        "steps:\n  - class: subprocess.Popen\n    args: [touch, {marker}]\n",
        "vars: {{c: os.system}}\nsteps:\n  - class: ${{c}}\n",
        "steps:\n  - class: Fork\n    chains:\n      a: [{{class: os.system}}]\n",
        "steps:\n  - class: Branch\n    cases: [{{when: {{A: present}}, steps: [{{class: os.system}}]}}]\n",
        "steps:\n  - class: Pipeline\n    steps: [{{class: os.system}}]\n",
        "steps:\n  - &x\n    class: os.system\n  - *x\n",
        "steps:\n  - <<: {{class: os.system}}\n",
    ],
)
def test_the_path_of_a_module_is_never_imported(text: str, monkeypatch, tmp_path: Path):
    import importlib

    imported: list[str] = []
    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name, *a: imported.append(name) or original(name, *a))

    found = validated(text.format(marker=tmp_path / "marker"))

    assert not found["valid"]
    assert any("registered processors only" in problem["message"] for problem in found["problems"])
    assert not {"os", "subprocess"} & set(imported)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../secret.yaml", "../../etc/passwd", "~/secret.yaml", "inner/../../secret.yaml", "link.yaml"],
)
def test_a_file_outside_the_folder_of_the_chain_is_not_even_looked_for(name: str, tmp_path: Path):
    folder = tmp_path / "chains"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")

    for there in (str(folder), None) if name != "link.yaml" else (str(folder),):
        found = validated(f"steps:\n  - include: {name}\n", folder=there)

        assert [p["message"] for p in found["problems"]] == [f"'{name}' lies outside the folder of the chain"]
        assert "hunter2" not in json.dumps(found)


def test_files_of_the_folder_and_built_in_chains_may_be_included(tmp_path: Path):
    (tmp_path / "sky.yaml").write_text(RIGHT)

    assert validated("steps:\n  - include: sky.yaml\n", folder=str(tmp_path))["valid"]
    assert validated("steps:\n  - include: photometry\n", folder=str(tmp_path))["valid"]
    assert validated("include: quicklook\n")["valid"]


def test_a_chain_with_a_memory_is_refused_with_its_line():
    found = validated("steps:\n  - class: SubtractBackground\n  - class: Stack\n    size: 3\n")

    assert found["valid"] is False
    assert found["problems"][0]["line"] in (3, 4)


def test_a_bomb_of_aliases_is_refused():
    text = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )

    assert "more than" in validated(text)["problems"][0]["message"]


def test_a_branch_and_a_fork_are_drawn(service: DemoService, page: Page):
    drawing = page.get("/api/chains/branching").json()["drawing"]

    kinds = {node["id"]: node["kind"] for node in drawing["nodes"]}
    assert kinds["steps.1"] == "choice"
    assert kinds["steps.3"] == "fork"
    assert kinds["steps.1.cases.0.steps.0"] == "step"
    edges = {(edge["start"], edge["end"]): edge["label"] for edge in drawing["edges"]}
    assert edges["steps.1", "steps.1.cases.0.steps.0"] == "long: EXPTIME: > 30"
    assert edges["steps.1", "steps.1.end"] == "otherwise"
    assert {start for start, _ in edges} | {end for _, end in edges} == set(kinds), "a node hangs in the air"


def test_steps_carry_values_defaults_and_documentation(page: Page):
    drawing = page.get("/api/chains/branching").json()["drawing"]
    steps = {step["id"]: step for step in drawing["steps"]}

    detection = {p["name"]: p for p in steps["steps.2"]["parameters"]}
    assert detection["threshold"]["value"] == 3, "the observatory's variable counts"
    assert detection["threshold"]["description"]
    assert detection["minarea"]["is_default"]
    assert steps["steps.2"]["policy"] == {"timeout": 30.0}
    assert steps["steps.2"]["index"] == 2
    assert steps["steps.1.cases.0.steps.0"]["index"] is None
    assert "Subtract" in steps["steps.0"]["documentation"]


def test_every_processor_is_offered_with_its_form(page: Page):
    from etendue.processors import processors

    found = {one["name"]: one for one in page.get("/api/processors").json()["processors"]}

    assert set(found) == set(processors())
    assert found["SepSourceDetection"]["kind"] == "detection"
    assert "class: SepSourceDetection" in found["SepSourceDetection"]["snippet"]
    assert page.get("/api/schema").json()["$defs"]["step.SepSourceDetection"]


# --- saving -------------------------------------------------------------------------------------------------------


@pytest.fixture
def editor(tmp_path: Path):
    service = DemoService(tmp_path, tokens=True)
    yield Page(service, Authorization=f"Bearer {CHANGE_TOKEN}")
    service.close()


def test_a_chain_is_saved_and_used(editor: Page):
    chain = editor.get("/api/chains/photometry").json()

    answer = editor.put("/api/chains/photometry", json={"text": RIGHT, "base": chain["base"]})

    assert answer.json() == {"name": "photometry", "base": hashlib.sha256(RIGHT.encode()).hexdigest(), "problems": []}
    after = editor.get("/api/chains/photometry").json()
    assert (after["text"], after["steps"]) == (RIGHT, ["SubtractBackground"])
    assert Path(chain["file"]).read_text() == RIGHT


def test_somebody_elses_change_is_not_overwritten(editor: Page):
    chain = editor.get("/api/chains/photometry").json()
    Path(chain["file"]).write_text(RIGHT + "# mine\n")

    answer = editor.put("/api/chains/photometry", json={"text": RIGHT, "base": chain["base"]})

    assert answer.status_code == 409
    assert Path(chain["file"]).read_text() == RIGHT + "# mine\n"


def test_a_wrong_chain_is_not_saved_and_the_problems_are_told(editor: Page):
    chain = editor.get("/api/chains/photometry").json()

    for text in ("steps: [", "steps:\n  - class: os.system\n", "steps:\n  - include: /etc/passwd\n"):
        answer = editor.put("/api/chains/photometry", json={"text": text, "base": chain["base"]})

        assert answer.status_code == 422
        assert answer.json()["detail"][0]["line"]
    assert editor.get("/api/chains/photometry").json()["base"] == chain["base"]


def test_a_built_in_chain_is_not_saved(editor: Page):
    chain = editor.get("/api/chains/quicklook").json()

    assert chain["can_be_saved"] is False
    assert editor.put("/api/chains/quicklook", json={"text": RIGHT, "base": chain["base"]}).status_code == 409


@pytest.mark.parametrize("name", ["nothing", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "photometry.yaml", "photometry%00"])
def test_only_chains_of_the_configuration_have_an_address(editor: Page, name: str):
    assert editor.put(f"/api/chains/{name}", json={"text": RIGHT, "base": ""}).status_code in (404, 405)


def test_a_chain_that_is_too_long_is_refused(editor: Page):
    answer = editor.post("/api/chains/validate", json={"text": "x" * 500_000})

    assert answer.status_code == 422


def test_validation_changes_nothing(service: DemoService, page: Page):
    before = service.chains["photometry"].file.read_text()

    answer = page.post("/api/chains/validate", json={"text": RIGHT, "name": "photometry"}).json()

    assert answer["valid"]
    assert answer["drawing"]["steps"][0]["processor"] == "SubtractBackground"
    assert service.chains["photometry"].file.read_text() == before
