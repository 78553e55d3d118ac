"""`etendue queue`: what it shows, and what it changes."""

import json
import os
import subprocess
import time
from dataclasses import replace

import pytest

from etendue.pipeline.cli.daemon.queue.selection import Kind, State, point_in_time
from etendue.pipeline.cli.daemon.queue.wording import duration
from etendue.pipeline.daemon.queue import DaemonFacts, JobKind, JobQueue, JobState, NewJob, Record
from etendue.pipeline.errors import ConfigError


def test_the_filters_know_all_states_and_kinds():
    assert [state.value for state in State] == [state.value for state in JobState]
    assert [kind.value for kind in Kind] == [kind.value for kind in JobKind]


# --- list --------------------------------------------------------------------------------------------------------


def test_the_list_says_how_each_job_stands_and_why(command, config, jobs):
    result = command("queue", "list", config)

    assert result.exit_code == 0, result.output
    table, _, summary = result.stdout.partition("7 jobs\n")
    lines = {line.split()[0]: line for line in table.splitlines()}
    for name, number in jobs.items():
        assert f" {name} " in lines[str(number)]
        assert f"{name}.fits" in lines[str(number)]
    assert "Calibration: RuntimeError: cloudy" in lines[str(jobs["failed"])]
    assert "waits for flat R of 2026-03-20" in lines[str(jobs["waiting"])]
    assert "2.5 s" in lines[str(jobs["done"])]
    assert "In the queue: 1 waiting, 1 queued" in summary
    assert "Daemon: dome, process 77" in summary


def test_the_newest_come_first_and_the_rest_is_counted(command, config, jobs):
    result = command("queue", "list", config, "--limit", "2")

    _, first, second, *_ = result.stdout.splitlines()
    assert [int(line.split()[0]) for line in (first, second)] == sorted(jobs.values(), reverse=True)[:2]
    assert "2 of 7 jobs; --limit shows more" in result.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--state", "failed"], {"failed"}),
        (["--state", "done", "-s", "skipped"], {"done", "skipped"}),
        (["--chain", "quick"], {"queued"}),
        (["--text", "FLAT R"], {"waiting"}),
        (["--source", "elsewhere"], set()),
        (["--since", "1 h", "--state", "queued"], {"queued"}),
        (["--since", "2100-01-01"], set()),
    ],
)
def test_filters_choose(command, config, jobs, options, expected):
    told = json.loads(command("queue", "list", config, "--json", *options).stdout)

    assert {job["label"].removesuffix(".fits") for job in told["jobs"]} == expected
    assert told["total"] == len(expected)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--chain", "quik"], "There is no chain 'quik', did you mean 'quick'?\n"),
        (["--source", "incomming"], "There is no source 'incomming', did you mean 'incoming'?\n"),
        (["--night", "2026-03-21"], "No job is of the night 2026-03-21; the latest are 2026-03-20\n"),
        (["--chain", "quick", "--night", "2026-03-20"], ""),  # there are both, and no job is of both
    ],
)
def test_a_name_that_nothing_has_is_told(command, config, jobs, add, options, said):
    add("dated.fits", night="2026-03-20")

    for name in ("list", "export", "drop"):
        result = command("queue", name, config, *options)

        assert (result.exit_code, result.stderr) == (0, said)
    assert json.loads(command("queue", "list", config, "--json", *options).stdout)["total"] == 0


def test_a_night_in_another_form_is_a_mistake(command, config, jobs):
    result = command("queue", "list", config, "--night", "20260320")

    assert result.exit_code == 2
    assert result.stderr == "--night: '20260320' is no night; write for example 2026-03-20\n"


def test_json_has_the_facts_and_no_secrets(command, config, jobs):
    told = json.loads(command("queue", "list", config, "--json").stdout)

    assert told["counts"]["failed"] == 1
    assert all("token" not in job for job in told["jobs"])
    (failed,) = [job for job in told["jobs"] if job["id"] == jobs["failed"]]
    assert failed["error"] == "RuntimeError: cloudy"
    assert failed["path"] == "/data/failed.fits"


def test_more_jobs_than_fit_on_a_page_are_listed(command, config, add, monkeypatch):
    monkeypatch.setattr("etendue.pipeline.cli.daemon.queue.looking.PAGE", 3)
    numbers = [add(f"{number}.fits") for number in range(8)]

    told = json.loads(command("queue", "list", config, "--json", "--oldest", "--limit", "7").stdout)

    assert [job["id"] for job in told["jobs"]] == numbers[:7]
    assert told["total"] == 8


def test_an_empty_queue_is_listed(command, config, queue):
    result = command("queue", "list", config)

    assert result.exit_code == 0
    assert "In the queue: nothing" in result.stdout
    assert "No daemon is at work" in result.stdout


def test_a_daemon_that_has_ended_is_not_taken_for_a_running_one(command, config, queue):
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = DaemonFacts.of_this_process()
    queue.register(replace(here, pid=ended.pid))

    assert "it has ended, and the next daemon takes over" in command("queue", "list", config).stdout
    assert "No daemon is running on this queue" in command("reload", config).stdout


def test_what_a_daemon_waits_for_is_shown(command, config, queue):
    name = queue.register(DaemonFacts.of_this_process())
    queue.beat(name, {"holding": ["destination products: No space left on device"]})

    assert "  destination products: No space left on device\n" in command("queue", "list", config).stdout


def test_what_is_held_is_shown_with_the_jobs_that_wait_for_it(command, config, queue):
    name = queue.register(DaemonFacts.of_this_process())
    since = time.time() - 600
    held = {"destination": "products", "reason": "0.0 MB are free\x1b[2J", "since": since, "jobs": 3}
    queue.beat(name, {"held": [held]})

    shown = command("queue", "list", config).stdout

    assert r"  Held for 10 min: destination products: 0.0 MB are free\x1b[2J; 3 jobs wait for it" in shown
    facts = json.loads(command("queue", "list", config, "--json").stdout)
    assert facts["daemons"][0]["status"]["held"] == [held]


def test_the_queue_may_be_named_by_its_address_or_its_file(command, queue, jobs, tmp_path):
    file = tmp_path / "state" / "queue.db"

    for place in (file, f"sqlite:///{file}"):
        assert "7 jobs" in command("queue", "list", place).stdout


def test_names_of_files_cannot_play_with_the_terminal(command, config, add):
    add("evil\x1b[2J\nname" + os.fsdecode(b"\xff") + ".fits")

    result = command("queue", "list", config)

    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert r"evil\x1b[2J\nname\udcff.fits" in result.stdout.replace("\n", "")
    assert json.loads(command("queue", "list", config, "--json").stdout)["total"] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.yaml", None, "absent.yaml: cannot be read"),
        ("chain.yaml", "steps: []", "this is a chain, not an observatory"),
        ("observatory.yaml", "chains: {a: photometry}\nsources: []\n", "queue.db"),
    ],
)
def test_what_is_no_queue_is_refused_with_a_sentence(command, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)

    result = command("queue", "list", name)

    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not (tmp_path / "state").exists()


# --- show --------------------------------------------------------------------------------------------------------


def test_a_failed_job_is_shown_with_its_traceback(command, config, jobs):
    result = command("queue", "show", config, jobs["failed"])

    assert result.exit_code == 0, result.output
    for text in ("failed", "Calibration: RuntimeError: cloudy", "/data/failed.fits", 'File "steps.py", line 3'):
        assert text in result.stdout
    assert "hello from the step" not in result.stdout
    assert "--log" in result.stdout
    assert "hello from the step" in command("queue", "show", config, jobs["failed"], "--log").stdout


def test_a_done_job_is_shown_with_its_steps_and_products(command, config, jobs):
    shown = command("queue", "show", config, jobs["done"]).stdout

    assert "night/x.fits in products, 2.88 kB" in shown
    assert "Calibration" in shown.partition("Steps")[2]
    assert "Attempts" in shown


def test_masters_are_shown_a_line_each(command, config, queue, daemon):
    new = NewJob(kind=JobKind.MASTERS, key="k", source="incoming", chain="photometry", label="masters of a night")
    queue.add([new])
    (job,) = queue.claim(daemon, limit=1, fits=None)
    bias = {"kind": "bias", "label": "bias", "status": "accepted", "name": "bias.fits", "frames": [1, 2], "reasons": []}
    dark = {**bias, "name": None, "label": "dark 60 s", "frames": [], "status": "not built", "reasons": ["no bias"]}
    record = Record(facts={"nights": {"masters": [bias, dark]}, "seen": 3})
    queue.finish(job.id, job.token, JobState.DONE, record)

    shown = command("queue", "show", config, job.id).stdout

    assert "  bias.fits of 2 frames: accepted\n  dark 60 s: not built (no bias)\n" in shown
    assert "facts" not in shown


def test_a_job_is_shown_as_json(command, config, jobs):
    told = json.loads(command("queue", "show", config, jobs["failed"], "--json").stdout)

    assert told["traceback"].endswith("RuntimeError: cloudy")
    assert told["log"] == "hello from the step\n"
    assert len(told["history"]) == 1
    assert "token" not in told


def test_the_chain_that_was_used_is_shown(command, config, jobs, queue):
    queue.note_chain("f" * 64, "photometry", "the whole chain")

    assert "the whole chain" in command("queue", "show", config, jobs["done"], "--chain-text").stdout


def test_an_unknown_job_is_an_error(command, config, queue):
    result = command("queue", "show", config, 999)

    assert result.exit_code == 2
    assert "there is no job 999" in result.stderr


# --- retry, drop, requeue ----------------------------------------------------------------------------------------


def states(queue: JobQueue, jobs: dict[str, int]) -> dict[str, str]:
    return {name: str(queue.get(number).state) for name, number in jobs.items()}


def test_a_failed_job_is_tried_again(command, config, jobs, queue):
    result = command("queue", "retry", config, jobs["failed"])

    assert result.exit_code == 0, result.output
    assert result.stdout == "1 job queued again\n"
    assert queue.get(jobs["failed"]).state == "queued"


def test_what_cannot_be_tried_again_is_left_alone_and_named(command, config, jobs, queue):
    before = states(queue, jobs)

    result = command("queue", "retry", config, jobs["failed"], jobs["running"], jobs["done"])

    assert result.exit_code == 1
    assert f"{jobs['running']} is running, {jobs['done']} is done" in result.stderr
    assert states(queue, jobs) == before | {"failed": "queued"}


def test_a_filter_without_state_retries_failed_jobs_only(command, config, jobs, queue):
    before = states(queue, jobs)

    result = command("queue", "retry", config, "--chain", "photometry", "--yes")

    assert result.exit_code == 0, result.output
    assert states(queue, jobs) == before | {"failed": "queued"}


def test_a_filter_needs_an_agreement(command, config, jobs, queue):
    before = states(queue, jobs)

    result = command("queue", "retry", config, "--state", "failed")

    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert states(queue, jobs) == before


@pytest.mark.parametrize(("answer", "code", "state"), [("y\n", 0, "queued"), ("n\n", 1, "failed")])
def test_on_a_terminal_a_person_is_asked(command, config, jobs, queue, monkeypatch, answer, code, state):
    monkeypatch.setattr("etendue.pipeline.cli.daemon.queue.selection._is_somebody_there", lambda: True)

    result = command("queue", "retry", config, "--state", "failed", input=answer)

    assert result.exit_code == code, result.output
    assert "Retry 1 job?" in result.stderr
    assert queue.get(jobs["failed"]).state == state


@pytest.mark.parametrize("verb", ["retry", "drop", "requeue"])
def test_without_jobs_and_filter_nothing_is_done(command, config, jobs, verb):
    result = command("queue", verb, config)

    assert result.exit_code == 2
    assert "say which jobs" in result.stderr


def test_numbers_and_a_filter_together_are_refused(command, config, jobs):
    assert "not both" in command("queue", "drop", config, jobs["failed"], "--chain", "quick").stderr


def test_an_unknown_number_changes_nothing(command, config, jobs, queue):
    result = command("queue", "retry", config, jobs["failed"], 999)

    assert result.exit_code == 2
    assert "there is no job 999" in result.stderr
    assert queue.get(jobs["failed"]).state == "failed"


def test_jobs_are_dropped_unless_they_run(command, config, jobs, queue):
    before = states(queue, jobs)

    result = command("queue", "drop", config, "--source", "incoming", "--yes")

    assert result.exit_code == 0, result.output
    assert states(queue, jobs) == before | dict.fromkeys(("failed", "waiting", "queued"), "dropped")


def test_a_done_job_is_done_again_as_a_new_one(command, config, jobs, queue):
    result = command("queue", "requeue", config, jobs["done"])

    assert result.exit_code == 0, result.output
    new = int(result.stdout.rpartition("New: ")[2])
    assert (queue.get(new).state, queue.get(new).path) == ("queued", queue.get(jobs["done"]).path)


# --- pause, resume -----------------------------------------------------------------------------------------------


def test_a_paused_chain_is_not_begun_until_it_is_resumed(command, config, jobs, queue, daemon):
    assert command("queue", "pause", config, "quick", "--reason", "clouds").exit_code == 0
    assert queue.claim(daemon, limit=5, fits=None) == []
    assert "Paused: quick, by " in command("queue", "list", config).stdout
    assert "clouds" in command("queue", "list", config).stdout

    assert command("queue", "resume", config, "quick").stdout == "quick goes on\n"
    assert [job.id for job in queue.claim(daemon, limit=5, fits=None)] == [jobs["queued"]]


def test_everything_is_paused(command, config, jobs, queue, daemon):
    result = command("queue", "pause", config)

    assert f"Next: etendue queue resume {config}" in result.stdout
    assert queue.claim(daemon, limit=5, fits=None) == []
    assert command("queue", "resume", config).stdout == "Everything goes on\n"


def test_resuming_what_is_not_paused_says_what_is(command, config, queue):
    command("queue", "pause", config, "quick")

    assert command("queue", "resume", config, "photometry").stdout == "photometry is not paused; paused: quick\n"


def test_pausing_an_unknown_chain_is_a_mistake(command, config, queue):
    result = command("queue", "pause", config, "quik")

    assert result.exit_code == 2
    assert "there is no chain 'quik', did you mean 'quick'?" in result.stderr
    assert queue.paused() == []


# --- export, check -----------------------------------------------------------------------------------------------


def test_jobs_are_exported_one_a_line(command, config, jobs):
    lines = [json.loads(line) for line in command("queue", "export", config).stdout.splitlines()]

    assert {line["id"] for line in lines} == set(jobs.values())
    assert all("token" not in line for line in lines)


def test_jobs_are_exported_to_a_file(command, config, jobs, tmp_path):
    result = command("queue", "export", config, "-o", "jobs.jsonl", "--state", "failed")

    assert result.stdout == "1 job -> jobs.jsonl\n"
    (line,) = (tmp_path / "jobs.jsonl").read_text().splitlines()
    assert json.loads(line)["error"] == "RuntimeError: cloudy"


def test_an_export_that_cannot_be_written_is_an_error(command, config, jobs):
    result = command("queue", "export", config, "-o", config / "jobs.jsonl")

    assert result.exit_code == 2
    assert "jobs.jsonl: cannot be written: " in result.stderr


def test_a_sound_queue_passes_the_check(command, config, jobs):
    result = command("queue", "check", config)

    assert (result.exit_code, result.stdout) == (0, "7 jobs, no problems\n")


def test_problems_are_told_by_the_check(command, config, jobs, monkeypatch):
    monkeypatch.setattr(JobQueue, "check", lambda self: ["job 3 is done and has no end"])

    result = command("queue", "check", config)

    assert result.exit_code == 1
    assert "job 3 is done and has no end" in result.stdout


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.04, "40 ms"),
        (0.0996, "0.1 s"),
        (9.94, "9.9 s"),
        (60, "60 s"),
        (300, "5 min"),
        (9000, "2.5 h"),
        (200_000, "2.3 d"),
    ],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


def test_a_point_in_time_may_be_a_date_in_utc():
    assert point_in_time("2026-03-20T18:00") == point_in_time("2026-03-20T19:00+01:00") == 1774029600


def test_what_is_no_time_is_refused():
    with pytest.raises(ConfigError, match="--since: 'yesterday' is no time"):
        point_in_time("yesterday")


def test_a_reason_without_end_is_shortened_in_the_list_alone(command, config, queue, add, daemon):
    number = add("long.fits")
    (job,) = queue.claim(daemon, limit=1, fits=None)
    queue.finish(job.id, job.token, JobState.FAILED, Record(step="read", error=f"{job.path}: no image {'x' * 1000}"))

    listed = command("queue", "list", config).stdout
    shown = command("queue", "show", config, number).stdout

    assert listed.count("x") < 350
    assert "read: no image" in listed  # its name stands beside it
    assert "x" * 1000 in shown
