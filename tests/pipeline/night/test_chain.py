"""The library of a night reaches every step of calibration, however deep it stands."""

from pathlib import Path

from etendue.pipeline import Pipeline, parse_pipeline
from etendue.pipeline.night.chain import calibration_of, library_of, with_library
from etendue.processors.background import SubtractBackground
from etendue.processors.calibration import Bias, Calibration

LIBRARY = Path("/data/masters")


def test_steps_within_branches_and_chains_get_the_library():
    chain = parse_pipeline("""
steps:
  - class: Branch
    cases:
      - when: {FILTER: R}
        steps:
          - class: Calibration
      - when: {FILTER: V}
        steps:
          - class: Pipeline
            steps:
              - class: Bias
              - class: SubtractBackground
""")

    found = with_library(chain, LIBRARY)

    text = found.model_dump_json()
    assert text.count(str(LIBRARY)) == 2
    assert chain != found
    assert str(LIBRARY) not in chain.model_dump_json()


def test_a_library_of_its_own_stays():
    chain = Pipeline(steps=(Calibration(library="/mine"), Bias()))

    found = with_library(chain, LIBRARY)

    assert [step.processor.model_dump()["library"] for step in found.steps] == [Path("/mine"), LIBRARY]
    assert library_of(chain) == Path("/mine")


def test_a_chain_without_calibration_is_left_as_it_is():
    chain = Pipeline(steps=(SubtractBackground(),))

    assert with_library(chain, LIBRARY) is chain
    assert calibration_of(chain) is None
    assert library_of(chain) is None
