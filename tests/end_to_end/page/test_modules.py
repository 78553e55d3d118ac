"""Parts of the page that can be tried alone, in the browser that they run in."""

import pytest

CHAIN = """\
# a comment
steps:
  - class: SubtractBackground   # the sky
    box_size: 32   # [px]

  # before the next
  - name: faint
    class: "SepSourceDetection"
    filter_kernel:
      - [1, 2, 1]
      - [2, 4, 2]
    threshold: ${threshold}
  - class: Branch
    cases:
      - when: {FILTER: R}
        steps:
          - class: Save
            filename: 'it''s {stem}.fits'
"""


@pytest.fixture
def evaluate(busy, visit):
    """``evaluate(module, program, argument)``: what a program makes of a module `m` and the argument `x`."""
    page = visit(busy, "#/system")

    def call(module, program, argument):
        return page.evaluate(
            f"async (x) => {{ const m = await import('/static/{module}'); {program} }}",
            argument,
        )

    return call


def test_events_are_the_same_however_the_stream_is_cut(evaluate):
    stream = ': hello\n\nevent: job\ndata: {"id": 1,\ndata: "label": "é"}\n\n'
    stream += 'event: now\r\ndata: {}\r\n\r\ndata: {"a": 1}\n\n'

    found = evaluate(
        "core/live.js",
        """return Array.from({length: x.length}, (_, cut) => {
            const told = [];
            const parse = m.parser((kind, data) => told.push([kind, data]));
            for (const piece of [x.slice(0, cut), x.slice(cut)]) parse(piece);
            return told;
        });""",
        stream,
    )

    assert found == [[["job", {"id": 1, "label": "é"}], ["now", {}], ["message", {"a": 1}]]] * len(stream)


def test_steps_are_found_wherever_they_stand(evaluate):
    steps = evaluate(
        "chains/lines.js", "return m.findSteps(x).map((s) => [s.name, s.line, [...s.keys.keys()]]);", CHAIN
    )

    assert steps == [
        ["SubtractBackground", 2, ["class", "box_size"]],
        ["SepSourceDetection", 6, ["name", "class", "filter_kernel", "threshold"]],
        ["Branch", 12, ["class", "cases"]],
        ["Save", 16, ["class", "filename"]],
    ]


@pytest.mark.parametrize(
    ("step", "key", "value", "old", "new"),
    [
        (0, "box_size", "128", "    box_size: 32   # [px]\n", "    box_size: 128  # [px]\n"),
        (0, "sigma", "2.5", "    box_size: 32   # [px]\n", "    box_size: 32   # [px]\n    sigma: 2.5\n"),
        (1, "threshold", "", "    threshold: ${threshold}\n", ""),
        (1, "filter_kernel", "null", "", ""),  # over several lines: left alone
        (3, "filename", '"b: c.fits"', "'it''s {stem}.fits'", '"b: c.fits"'),
    ],
)
def test_a_form_changes_one_line(evaluate, step, key, value, old, new):
    program = "return m.withValue(x.text, m.findSteps(x.text)[x.step], x.key, x.value);"

    changed = evaluate("chains/lines.js", program, {"text": CHAIN, "step": step, "key": key, "value": value})

    assert changed == CHAIN.replace(old, new)


@pytest.mark.parametrize("text", ["true", "a: b", " x", "12", "# no", "", "plain text", "it's", "${threshold}"])
def test_text_that_would_be_something_else_is_quoted(evaluate, text):
    import yaml

    written = evaluate("chains/lines.js", "return m.quoted(x);", text)

    assert yaml.safe_load(f"key: {written}") == {"key": text}
    assert evaluate("chains/lines.js", "return m.bare(x);", written) == text


def test_an_axis_has_round_numbers_within_its_ends(evaluate):
    for low, high in [(0, 4.4), (-3, -1), (0.00012, 0.00019), (1200, 98000), (24.5, 25.5)]:
        steps = evaluate("parts/plot.js", "return m.ticks(...x);", [low, high])

        assert 3 <= len(steps) <= 8
        assert low <= steps[0] < steps[-1] <= high + 1e-9


def test_a_point_of_the_image_stays_under_the_pointer_while_zooming(evaluate):
    before, after = evaluate(
        "viewer/scene.js",
        """const scene = new m.Scene(1000, 800);
        scene.resize(500, 400);
        const before = scene.toImage(120, 90);
        scene.zoomBy(3.7, 120, 90);
        return [before, scene.toImage(120, 90)];""",
        None,
    )

    assert before == pytest.approx([239.5, 619.5])
    assert after == pytest.approx(before)


@pytest.mark.parametrize("name", ["/data/a.fits", "a.fits", "image a.fits", "read"])
def test_a_cause_begins_with_what_went_wrong(evaluate, name):
    job = {"label": "a.fits", "path": "/data/a.fits", "step": "read", "error": f"{name}: holds no image"}

    assert evaluate("core/format.js", "return m.cause(x)", job) == "holds no image"


def test_angles_are_rounded_as_a_whole(evaluate):
    """59.96 s is a minute where one decimal is shown, and 23 h 59 min 59.996 s is midnight."""
    degrees = [0, -0.5, -41.2691667, 89.99999, -0.000001]
    hours = [0, 10.0070666, 23.9999989, 5.99999]

    found = evaluate(
        "core/format.js",
        "return [x[0].map((one) => m.sexagesimal(one, 1, {sign: true})), x[1].map((one) => m.sexagesimal(one, 2))];",
        [degrees, hours],
    )

    assert found[0] == ["+00:00:00.0", "−00:30:00.0", "−41:16:09.0", "+90:00:00.0", "+00:00:00.0"]
    assert found[1] == ["00:00:00.00", "10:00:25.44", "00:00:00.00", "05:59:59.96"]
