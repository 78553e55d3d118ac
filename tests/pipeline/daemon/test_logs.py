"""Log lines say what they are about, are safe to look at, and never hold up or break the daemon."""

import asyncio
import io
import json
import logging
import os
import re
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etendue.pipeline import ConfigError
from etendue.pipeline.daemon.logs import LONGEST_BACKLOG, log_facts, logging_to, name_daemon, printable
from etendue.pipeline.daemon.settings import LogSettings

logger = logging.getLogger("etendue.pipeline.daemon.anything")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def logged():
    """``logged(work, level="debug")``: what the work logs, as JSON lines."""

    def call(work, *, daemon="", **settings):
        stream = io.StringIO()
        with logging_to(LogSettings(**settings), daemon=daemon, stream=stream):
            work()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return call


def test_a_line_says_what_it_is_about(logged):
    def work():
        with log_facts(job=12, image="m31.fits", chain="photometry"), log_facts(step="Calibration"):
            logger.info("no flat for %s", "R")
        logger.info("idle")

    first, second = logged(work, daemon="host-1")

    about = {key: first[key] for key in ("daemon", "job", "image", "chain", "step", "level", "message", "logger")}
    assert about == {
        "daemon": "host-1",
        "job": 12,
        "image": "m31.fits",
        "chain": "photometry",
        "step": "Calibration",
        "level": "info",
        "message": "no flat for R",
        "logger": logger.name,
    }
    assert second["job"] is second["image"] is second["step"] is None
    assert first["time"].endswith("Z")


def test_tasks_that_run_at_the_same_time_do_not_mix_up_their_jobs(logged):
    async def one(job):
        with log_facts(job=job):
            await asyncio.sleep(0)
            await asyncio.to_thread(logger.info, "job %d", job)

    async def all_of_them():
        await asyncio.gather(*(one(job) for job in range(20)))

    lines = logged(lambda: asyncio.run(all_of_them()))

    assert {line["message"] for line in lines} == {f"job {line['job']}" for line in lines}
    assert len(lines) == 20


def test_a_fact_can_be_given_with_the_line(logged):
    (line,) = logged(lambda: logger.info("took long", extra={"step": "Save"}))

    assert line["step"] == "Save"


def test_an_unknown_fact_is_a_mistake():
    with pytest.raises(TypeError, match="not about colour"), log_facts(colour="red"):
        pass


def test_the_daemon_can_be_named_later(logged):
    def work():
        name_daemon("dome-7")
        logger.info("registered")

    assert logged(work)[0]["daemon"] == "dome-7"


def test_a_traceback_is_a_field_of_its_line(logged):
    def work():
        try:
            raise RuntimeError("too cloudy")
        except RuntimeError:
            logger.exception("gave up")

    (line,) = logged(work)

    assert line["level"] == "error"
    assert line["traceback"].endswith("RuntimeError: too cloudy")


def test_libraries_are_heard_from_warnings_on(logged):
    def work():
        logging.getLogger("chatty.library").info("polling")
        logging.getLogger("chatty.library").warning("no broker")
        logger.debug("ours")
        warnings.warn("the end is near", stacklevel=1)

    messages = [line["message"] for line in logged(work, level="debug")]

    assert messages[:2] == ["no broker", "ours"]
    assert "the end is near" in messages[2]


def test_lines_below_the_level_are_left_out(logged):
    def work():
        logger.info("quiet")
        logger.error("loud")

    assert [line["message"] for line in logged(work, level="error")] == ["loud"]


def test_an_error_that_nobody_caught_in_a_thread_is_logged(logged):
    def fail():
        raise ValueError("lost")

    def work():
        thread = threading.Thread(target=fail, name="scan")
        thread.start()
        thread.join()

    (line,) = logged(work)

    assert "thread scan" in line["message"]
    assert "ValueError: lost" in line["traceback"]


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_gets_short_lines_and_plain_colours(colours, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()

    with logging_to(LogSettings(), stream=terminal), log_facts(job=3, image="a.fits", chain="photometry", step="Save"):
        logger.warning("disk is nearly full")

    level = "\033[33mwarning\033[0m" if colours else "warning"
    assert terminal.getvalue()[9:] == f"{level} job 3 a.fits (photometry, Save): disk is nearly full\n"


def test_a_file_name_cannot_play_with_the_terminal():
    terminal = Terminal()
    name = "a\x1b[2Jb\nforged line\u202efits.exe" + os.fsdecode(b"\xff")

    with logging_to(LogSettings(), stream=terminal), log_facts(image=name):
        logger.info("came in: %s", name)

    assert terminal.getvalue().count("\n") == 1
    assert "\x1b" not in terminal.getvalue()
    assert r"a\x1b[2Jb\nforged line\u202efits.exe\udcff" in terminal.getvalue()


@given(st.text(st.characters(exclude_categories=[])))
def test_printable_text_is_one_line_that_every_terminal_can_show(text):
    shown = printable(text)

    assert shown.isprintable()
    assert len(shown.encode().splitlines()) <= 1


PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # in JSON two halves are a whole


@given(st.text(st.characters(exclude_categories=[])).filter(lambda text: not PAIR.search(text)))
def test_any_name_survives_in_json(text):
    stream = io.StringIO()
    with logging_to(LogSettings(), stream=stream), log_facts(image=text):
        logger.info("came in")

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["image"] == text


def test_the_file_has_json_whatever_the_terminal_shows(tmp_path):
    path = tmp_path / "log" / "etendue.jsonl"

    with logging_to(LogSettings(file=path, format="text"), stream=io.StringIO()):
        logger.info("ready")

    assert json.loads(path.read_text())["message"] == "ready"


def test_a_rotated_file_is_begun_anew(tmp_path):
    path = tmp_path / "etendue.jsonl"
    for number in (1, 2):
        with logging_to(LogSettings(file=path), stream=io.StringIO()):
            logger.info("line %d", number)
        path.rename(tmp_path / f"{number}.old")

    assert json.loads((tmp_path / "2.old").read_text())["message"] == "line 2"


def test_a_file_is_begun_anew_while_the_daemon_runs(tmp_path):
    path, stream = tmp_path / "etendue.jsonl", Listened()
    with logging_to(LogSettings(file=path), stream=stream):
        logger.info("before")
        stream.wait_for("before")
        wait_until(lambda: path.read_text().endswith("}\n"))
        path.rename(tmp_path / "old")
        logger.info("after")

    assert json.loads((tmp_path / "old").read_text())["message"] == "before"
    assert json.loads(path.read_text())["message"] == "after"


def test_a_log_file_that_cannot_be_written_is_a_wrong_configuration(tmp_path):
    (tmp_path / "log").write_text("a file, no folder")

    settings = LogSettings(file=tmp_path / "log" / "etendue.jsonl")

    with pytest.raises(ConfigError, match=r"^log\.file: .*etendue\.jsonl cannot be written: "), logging_to(settings):
        pass


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path, monkeypatch, capsys):
    path, stream = tmp_path / "etendue.jsonl", Listened()
    full = threading.Event()
    write = os.write

    def write_or_fail(file, data):
        return write(file, data[:7]) if full.is_set() else write(file, data)

    monkeypatch.setattr(os, "write", write_or_fail)
    with logging_to(LogSettings(file=path), stream=stream):
        logger.info("one")
        stream.wait_for("one")
        wait_until(lambda: path.stat().st_size > 0)
        full.set()
        logger.info("two")
        logger.info("three")
        wait_until(lambda: "No space left" in capsys.readouterr().err)
        logger.info("pause")
        stream.wait_for("pause")
        logger.info("pause again")  # when this one has come to the stream, "pause" was tried at the file
        stream.wait_for("pause again")
        full.clear()
        logger.info("four")

    messages = [json.loads(line)["message"] for line in path.read_text().splitlines()]
    assert messages[0] == "one"
    assert messages[-1] == "four"
    assert "two" not in messages
    assert any("log line(s) are missing" in message for message in messages)


def test_a_stopped_terminal_does_not_hold_up_the_daemon():
    stream = Stopped()
    with logging_to(LogSettings(), stream=stream):
        for number in range(LONGEST_BACKLOG + 500):
            logger.info("line %d", number)
        stream.go_on.set()
        wait_until(lambda: "lines are missing" in stream.text or "line(s) are missing" in stream.text)

    assert stream.text.count("\n") <= LONGEST_BACKLOG + 3


def test_a_closed_terminal_does_no_harm(tmp_path):
    stream, path = io.StringIO(), tmp_path / "etendue.jsonl"
    with logging_to(LogSettings(file=path), stream=stream):
        stream.close()
        logger.info("still here")

    assert json.loads(path.read_text())["message"] == "still here"


def test_afterwards_logging_is_as_before():
    root = logging.getLogger()
    before = root.handlers[:], root.level, threading.excepthook

    with logging_to(LogSettings(), stream=io.StringIO()):
        pass

    assert (root.handlers, root.level, threading.excepthook) == before


def wait_until(condition, seconds=30):
    """Wait until it holds."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it has not happened in time")


class Listened(io.StringIO):
    """A stream of which a test may wait for a message."""

    def wait_for(self, message):
        wait_until(lambda: f'"message": "{message}"' in self.getvalue())


class Stopped(io.StringIO):
    """A terminal at which somebody has pressed Ctrl-S."""

    def __init__(self):
        super().__init__()
        self.go_on, self.text = threading.Event(), ""

    def write(self, text):
        self.go_on.wait(60)
        self.text += text
        return len(text)
