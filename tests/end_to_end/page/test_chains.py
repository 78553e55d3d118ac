"""Chains: the drawing, the editor, and saving."""

from tests.pipeline.web.demo_server import CHANGE_TOKEN, READ_TOKEN


def test_a_chain_is_drawn_with_its_parameters(busy, visit):
    page = visit(busy, "#/chains/photometry")

    page.locator(".node", has_text="SepSourceDetection").click()

    page.locator(".step-details h3").get_by_text("SepSourceDetection").wait_for()
    page.locator("dl.parameters").get_by_text("detection limit [standard deviations of the sky]").wait_for()


def test_a_mistake_is_shown_at_its_line(busy, visit):
    page = visit(busy, "#/chains/photometry/edit")
    page.get_by_text("The chain is valid.").wait_for()
    area = page.get_by_role("textbox", name="Text of the chain")
    text = area.input_value()
    line = text.splitlines().index("    threshold: ${threshold}") + 1

    area.fill(text.replace("    threshold: ${threshold}", "    treshold: ${threshold}"))

    problem = page.locator("button.problem").first
    problem.get_by_text("did you mean 'threshold'?").wait_for()
    assert problem.inner_text().startswith(f"{line}:")
    marked = page.locator(".numbers .wrong")
    assert marked.inner_text() == str(line)
    assert page.locator(".editor-bar button.primary").is_disabled()
    problem.click()
    assert page.evaluate("(a) => a.value.slice(0, a.selectionStart).split('\\n').length", area.element_handle()) == line


def test_a_form_changes_its_line_and_nothing_else(busy, visit):
    page = visit(busy, "#/chains/photometry/edit")
    area = page.get_by_role("textbox", name="Text of the chain")
    before = area.input_value()
    page.get_by_role("button", name="SepSourceDetection").click()
    form = page.locator("form[data-step=SepSourceDetection]")

    form.get_by_label("minarea").fill("9")
    form.get_by_label("minarea").press("Tab")
    form.get_by_label("deblend_nthresh").fill("64")
    form.get_by_label("deblend_nthresh").press("Tab")

    after = area.input_value()
    step = before.index("- class: SepSourceDetection")
    assert after[:step] == before[:step]
    expected = before.replace("minarea: ${minarea}", "minarea: 9").replace(
        "    subtract_background: false\n", "    subtract_background: false\n    deblend_nthresh: 64\n", 1
    )
    assert after == expected
    page.get_by_text("The chain is valid.").wait_for()


def test_a_form_refuses_what_cannot_be(busy, visit):
    page = visit(busy, "#/chains/photometry/edit")
    area = page.get_by_role("textbox", name="Text of the chain")
    before = area.input_value()
    page.get_by_role("button", name="SepSourceDetection").click()
    field = page.locator("form[data-step=SepSourceDetection]").get_by_label("minarea")

    field.fill("2.5")
    field.press("Tab")

    page.get_by_text("This must be a whole number.").wait_for()
    assert area.input_value() == before


def test_saving_without_a_token_says_what_to_do(observatory, visit):
    page = visit(observatory, "#/chains/photometry/edit", refusals=True)
    before = observatory.service.chains["photometry"].file.read_text()
    area = page.get_by_role("textbox", name="Text of the chain")
    area.fill(before.replace("threshold: 3 ", "threshold: 4 "))

    page.locator(".editor-bar button.primary").click()

    page.get_by_role("dialog").get_by_text("etendue token").first.wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.locator(".notice.bad").wait_for()
    assert observatory.service.chains["photometry"].file.read_text() == before


def test_a_chain_is_saved_and_used_with_a_token(guarded, visit):
    page = visit(guarded, "#/chains/photometry/edit", refusals=True)
    page.get_by_role("button", name="Give a token").first.click()
    page.get_by_role("textbox", name="Token").fill(CHANGE_TOKEN)
    page.get_by_role("button", name="Use it").click()
    area = page.get_by_role("textbox", name="Text of the chain")
    area.wait_for()
    old = guarded.service.chains["photometry"].fingerprint
    text = area.input_value().replace("threshold: 3 ", "threshold: 4 ")
    area.fill(text)

    page.locator(".editor-bar button.primary").click()

    page.get_by_text("photometry is saved and in use").wait_for()
    assert guarded.service.chains["photometry"].file.read_text() == text
    assert guarded.service.chains["photometry"].fingerprint != old


def test_nobody_overwrites_what_somebody_else_has_saved(guarded, visit):
    page = visit(guarded, "#/chains/photometry/edit", refusals=True)
    page.get_by_role("button", name="Give a token").first.click()
    page.get_by_role("textbox", name="Token").fill(CHANGE_TOKEN)
    page.get_by_role("button", name="Use it").click()
    area = page.get_by_role("textbox", name="Text of the chain")
    area.wait_for()
    file = guarded.service.chains["photometry"].file
    theirs = file.read_text().replace("minarea: 5 ", "minarea: 7 ")
    file.write_text(theirs)

    area.fill(area.input_value().replace("threshold: 3 ", "threshold: 4 "))
    page.locator(".editor-bar button.primary").click()

    page.locator(".notice.bad").get_by_text("changed by somebody else").wait_for()
    assert file.read_text() == theirs
    assert "threshold: 4 " in area.input_value()


def test_unsaved_changes_survive_leaving_the_view(busy, visit):
    page = visit(busy, "#/chains/photometry/edit")
    area = page.get_by_role("textbox", name="Text of the chain")
    area.fill(area.input_value() + "# mine\n")
    page.keyboard.press("Tab")

    page.goto(f"{busy.address}/#/jobs")
    page.locator(".joblist").wait_for()
    page.go_back()

    page.get_by_text("Your changes from before are back").wait_for()
    assert page.get_by_role("textbox", name="Text of the chain").input_value().endswith("# mine\n")


def test_a_token_for_reading_does_not_change(guarded, visit):
    number = guarded.fail("0042.fits")
    page = visit(guarded, f"#/job/{number}", refusals=True)
    page.get_by_role("button", name="Give a token").first.click()
    page.get_by_role("textbox", name="Token").fill(READ_TOKEN)
    page.get_by_role("button", name="Use it").click()

    page.get_by_role("button", name="Retry").click()

    page.get_by_role("dialog").get_by_text("reading only").wait_for()
    assert guarded.service.queue.get(number).state == "failed"
