"""A product tells how it was made, and is made again from that."""

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.pipeline import ConfigError, Pipeline, Retry, Stack, Step
from etendue.pipeline.running import recipe_of, replay, run_pipeline


@pytest.fixture
def product(hazards, make_frames, tmp_path):
    frames = make_frames("a", "b")
    chain = Pipeline.of(
        hazards.Add(number=0.25),
        Step(processor=hazards.Add(number=5), name="never", when={"OBJECT": "z"}),
        Step(processor=hazards.Hazard(), name="harmless"),
        hazards.Keep(filename="{}_kept.fits"),
        hazards.Add(number=1000),
    )
    run_pipeline(chain, frames, output=tmp_path / "out")
    return tmp_path / "out" / "0001_kept.fits"


def test_the_recipe_is_what_was_done(product):
    recipe = recipe_of(product)

    assert [step.label for step in recipe.steps] == ["Add", "harmless", "Keep"]
    assert recipe.steps[0].parameters == {"number": 0.25}


def test_a_replayed_product_equals_the_original(product, tmp_path):
    results = replay(product, output=tmp_path / "again")

    (again,) = results
    original = Image.from_file(product)
    assert (tmp_path / "again" / "0001_kept.fits").exists()
    np.testing.assert_array_equal(again.data, original.data)
    assert [a.parameters for a in again.provenance] == [
        a.parameters for a in original.provenance if a.outcome == "done"
    ]


def test_a_photometry_product_is_made_again(tmp_path, make_stars):
    from etendue.processors import find_processor

    names = ("SubtractBackground", "SepSourceDetection", "SepPhotometry", "Save")
    frame = tmp_path / "stars.fits"
    make_stars([(20, 20), (40.3, 44.7)]).writeto(frame)
    chain = Pipeline.of(*(find_processor(name)() for name in names))
    (original,) = run_pipeline(chain, [frame], output=tmp_path / "out")

    (again,) = replay(tmp_path / "out" / "stars_reduced.fits", output=tmp_path / "again")

    np.testing.assert_array_equal(again.data, original.data)
    assert len(again.catalog) >= 2
    for column in original.catalog.colnames:
        np.testing.assert_array_equal(again.catalog[column], original.catalog[column])


def test_a_stack_is_made_again_of_all_its_images(hazards, make_frames, tmp_path):
    chain = Stack(method="mean") | hazards.Keep(filename="stack.fits")
    run_pipeline(chain, make_frames("a", "b", "c"), output=tmp_path / "out")

    replay(tmp_path / "out" / "stack.fits", output=tmp_path / "again")

    assert Image.from_file(tmp_path / "again" / "stack.fits").data[0, 0] == 1.0


def test_changed_input_is_refused(product, tmp_path):
    raw = tmp_path / "raw" / "0001.fits"
    content = bytearray(raw.read_bytes())
    content[2880] ^= 1
    raw.write_bytes(content)

    with pytest.raises(ConfigError, match="changed"):
        replay(product, output=tmp_path / "again")


def test_moved_input_is_found_where_it_is_said_to_be(product, tmp_path):
    raw = tmp_path / "raw" / "0001.fits"
    moved = raw.rename(tmp_path / "0001.fits")

    with pytest.raises(ConfigError, match="source"):
        replay(product, output=tmp_path / "again")
    assert len(replay(product, output=tmp_path / "again", source=moved).done) == 1
    assert len(replay(product, output=tmp_path / "again", source=tmp_path).done) == 1


def test_the_product_itself_is_not_replaced(product):
    with pytest.raises(ConfigError, match="another output folder"):
        replay(product, output=product.parent)


def test_another_version_is_told(product, tmp_path, monkeypatch):
    from etendue.pipeline import step

    monkeypatch.setattr(step, "distribution_of", lambda module: "hazards 2.0")

    with pytest.warns(UserWarning, match=r"hazards 2\.0"):
        recipe_of(product)


def test_a_file_without_record_is_refused(make_frames):
    with pytest.raises(ImageError, match="no record"):
        recipe_of(make_frames("a")[0])


def test_an_image_that_was_never_in_a_file_cannot_be_made_again(hazards, tmp_path):
    run_pipeline(Pipeline.of(hazards.Keep()), [Image(data=np.zeros((4, 4)), name="made")], output=tmp_path)

    with pytest.raises(ImageError, match="never in a file"):
        recipe_of(tmp_path / "made.fits")


def test_a_service_that_is_busy_again_is_asked_again(hazards, make_frames, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    busy = Step(processor=hazards.Hazard(marks=str(marks)), retry=Retry(attempts=2, backoff=0))
    run_pipeline(Pipeline.of(busy, hazards.Keep()), make_frames("later"), output=tmp_path / "out")
    for mark in marks.iterdir():
        mark.unlink()

    results = replay(tmp_path / "out" / "0000.fits", output=tmp_path / "again")

    assert [outcome.status for outcome in results.outcomes] == ["done"]
