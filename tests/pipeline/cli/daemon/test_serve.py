"""`etendue serve --check`, `reload` and `token`."""

import hashlib
import json
import logging
import re
import sys
import threading
import types

import pytest

from etendue.pipeline import ConfigError
from etendue.pipeline.cli.daemon.plan import without_password
from etendue.pipeline.daemon.configuration import parse_observatory
from etendue.pipeline.daemon.queue import DaemonFacts

TWO_CHAINS = """
name: Test dome
chains: {good: photometry, mine: chain.yaml}
sources: [{watch: incoming, chain: good}]
"""


# --- serve --check -----------------------------------------------------------------------------------------------


def test_a_check_says_what_would_be_done(command, config, tmp_path):
    result = command("serve", config, "--check")

    assert result.exit_code == 0, result.output
    for text in (
        "Test dome",
        f"files in {tmp_path}/incoming, and folders within it, through photometry",
        f"products: {tmp_path}/products",
        "queue.db, to be made",
        "http://127.0.0.1:8077/, from this machine only",
        f"All in order. Next: etendue serve {config}",
    ):
        assert text in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"observatory.yaml", "incoming"}


def test_the_port_can_be_chosen(command, config):
    assert "http://127.0.0.1:9000/" in command("serve", config, "--check", "--port", "9000").stdout


def test_a_check_counts_what_is_in_the_queue(command, config, jobs):
    assert re.search(r"queue\.db: .*1 failed", command("serve", config, "--check").stdout)


def test_an_empty_database_is_no_problem(command, config, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "queue.db").touch()

    result = command("serve", config, "--check")

    assert result.exit_code == 0, result.output
    assert "queue.db, to be made" in result.stdout


def test_a_place_that_no_library_knows_is_told(command, config):
    config.write_text(config.read_text() + "destinations: {products: 'nowhere://x'}\n")

    result = command("serve", config, "--check")

    assert result.exit_code == 1
    assert "destination nowhere://x: Protocol not known: nowhere" in result.stdout


def test_a_wrong_variable_is_told_with_its_chain(command, config):
    wrong = "photometry: {file: photometry, variables: {nope: 3}}"
    config.write_text(config.read_text().replace("photometry: photometry", wrong))

    result = command("serve", config, "--check")

    assert result.exit_code == 2
    assert "chain photometry: var nope: unknown variable 'nope'" in result.output


def test_what_the_daemon_would_wait_for_is_named(command, config, tmp_path):
    (tmp_path / "incoming").rmdir()
    (tmp_path / "products").write_text("a file")

    result = command("serve", config, "--check")

    assert result.exit_code == 1
    assert f"Not yet in order: source incoming: there is no folder {tmp_path}/incoming" in result.stdout
    assert f"destination {tmp_path}/products: this is a file" in result.stdout
    assert "2 things to look at" in result.stdout


def test_a_wrong_configuration_is_told_with_its_lines(command, config):
    config.write_text(config.read_text().replace("watch:", "wacth:").replace("name:", "nam:"))

    result = command("serve", config, "--check")

    assert result.exit_code == 2
    assert re.search(r"observatory\.yaml:\d+:\d+: unknown key 'nam', did you mean 'name'\?", result.stderr)
    assert re.search(r"observatory\.yaml:\d+:\d+: sources\.1: ", result.stderr)


def test_a_module_beside_a_chain_is_found(command, config, tmp_path):
    own = "from etendue.processors import Processor\n\nclass Own(Processor):\n    def process(self, image): pass\n"
    (tmp_path / "chains").mkdir()
    (tmp_path / "chains" / "beside_a_chain.py").write_text(own)
    (tmp_path / "chains" / "own.yaml").write_text("steps:\n  - class: beside_a_chain.Own\n")
    config.write_text(config.read_text().replace("photometry: photometry", "photometry: chains/own.yaml"))

    result = command("serve", config, "--check")

    assert result.exit_code == 0, result.output


def test_a_wrong_chain_is_told_with_its_line(command, config, tmp_path):
    config.write_text(TWO_CHAINS)
    (tmp_path / "chain.yaml").write_text("steps:\n  - class: SubtractBackground\n    box: 3\n")

    result = command("serve", config, "--check")

    assert result.exit_code == 2
    assert re.search(r"chain\.yaml:3:5: steps\.1 \(SubtractBackground\): unknown key 'box'", result.stderr)
    assert "the daemon would not start" in result.stderr


def test_a_chain_that_remembers_images_is_refused(command, config, tmp_path):
    config.write_text(TWO_CHAINS)
    (tmp_path / "steps.py").write_text(
        "from etendue.processors import Processor\n\n\n"
        "class Guide(Processor):\n"
        '    """Remember the first image."""\n\n'
        "    sequential = True\n\n"
        "    def process(self, image, state):\n"
        "        return image\n"
    )
    (tmp_path / "chain.yaml").write_text("steps:\n  - class: steps.Guide\n")

    result = command("serve", config, "--check")

    assert result.exit_code == 2
    assert "Guide remembers earlier images" in result.stderr


def test_passwords_are_not_shown():
    assert without_password("postgresql://me:secret@host/db") == "postgresql://me@host/db"
    assert without_password("sqlite:////a/queue.db") == "sqlite:////a/queue.db"


# --- serve -------------------------------------------------------------------------------------------------------


@pytest.fixture
def daemon_that(monkeypatch):
    """``daemon_that(work)``: `work` takes the place of the daemon."""

    def put(work):
        module = types.ModuleType("etendue.pipeline.daemon.daemon")
        vars(module)["serve"] = work
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


def test_serving_runs_the_daemon_with_its_configuration_and_its_log(command, config, daemon_that, tmp_path):
    async def work(settings, path, *, port, started):
        started(types.SimpleNamespace(daemon="dome-7"))
        logging.getLogger("etendue.pipeline.daemon").info("%s, %s, %s", settings.name, path.name, port)
        return 0

    daemon_that(work)
    config.write_text(config.read_text() + "log: {file: daemon.jsonl, format: json}\n")

    result = command("serve", config, "--port", "0")

    assert result.exit_code == 0, result.output
    line = json.loads((tmp_path / "daemon.jsonl").read_text())
    assert (line["message"], line["daemon"]) == ("Test dome, observatory.yaml, 0", "dome-7")
    assert json.loads(result.stderr)["message"] == line["message"]


@pytest.mark.parametrize(
    ("error", "code", "messages"),
    [
        (ConfigError("a.yaml:1:1: no\nb.yaml:2:2: no"), 2, ["a.yaml:1:1: no", "b.yaml:2:2: no"]),
        (ExceptionGroup("tasks", [OSError(98, "Address already in use")]), 2, ["Address already in use"]),
        (KeyError("x"), 1, ["the daemon was ended by an error that nobody expected: 'x'"]),
    ],
)
def test_what_ends_the_daemon_stands_in_the_log(command, config, daemon_that, error, code, messages):
    async def work(settings, path, *, port, started):
        raise error

    daemon_that(work)

    result = command("serve", config)

    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.exit_code == code
    assert [line["message"] for line in lines] == messages
    assert all(("traceback" in line) == (code == 1) for line in lines)


# --- reload ------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(queue):
    """``running(problems)``: a daemon that answers requests to reload with these problems, in a thread."""
    end, threads = threading.Event(), []

    def start(problems):
        name = queue.register(DaemonFacts.of_this_process("1"))

        def answer():
            while not end.wait(0.02):
                queue.beat(name, {"reload": {"number": queue.reload_requested(), "problems": problems}})

        threads.append(threading.Thread(target=answer))
        threads[-1].start()

    yield start
    end.set()
    for thread in threads:
        thread.join()


def test_a_reload_waits_until_the_daemon_has_taken_it_over(command, config, running):
    running([])

    result = command("reload", config)

    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(": taken over\n")


def test_what_the_daemon_refuses_is_told(command, config, running):
    running(["'sources' has changed: restart the daemon"])

    result = command("reload", config)

    assert result.exit_code == 1
    assert "not all of it is taken over" in result.stdout
    assert "'sources' has changed" in result.stdout


def test_a_wrong_chain_is_shown_to_the_daemon_so_that_its_page_says_so(command, config, running, queue, tmp_path):
    running(["chain.yaml:2:5: steps.1: there is no processor 'Nonsense'"])
    config.write_text(TWO_CHAINS)
    (tmp_path / "chain.yaml").write_text("steps:\n  - class: Nonsense\n")

    result = command("reload", config)

    assert result.exit_code == 1
    assert "what was valid before goes on" in result.stdout
    assert "chain.yaml:2:5" in result.stdout
    assert queue.reload_requested() == 1


def test_a_wrong_chain_is_told_where_no_daemon_runs(command, config, queue, tmp_path):
    config.write_text(TWO_CHAINS)
    (tmp_path / "chain.yaml").write_text("steps:\n  - class: Nonsense\n")

    result = command("reload", config)

    assert result.exit_code == 2
    assert "chain.yaml:2:" in result.stderr
    assert "no daemon is running on this queue, and none would start" in result.stderr


def test_a_daemon_that_does_not_answer_is_named(command, config, queue):
    queue.register(DaemonFacts.of_this_process("1"))

    result = command("reload", config, "--timeout", "200 ms")

    assert result.exit_code == 1
    assert "no answer in 0.2 s; look at its log" in result.stdout


def test_a_reload_without_a_daemon_says_so(command, config, queue):
    result = command("reload", config)

    assert result.exit_code == 0, result.output
    assert "No daemon is running on this queue" in result.stdout


def test_a_reload_is_told_as_json(command, config, running):
    running([])

    told = json.loads(command("reload", config, "--json").stdout)

    assert list(told["answers"].values()) == [[]]


# --- token -------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_its_hash_goes_to_the_configuration(command):
    shown = command("token", "wall display", "--right", "change").stdout
    token = re.search(r"^  (\S{43})$", shown, re.M)[1]
    line = re.search(r"^  (- \{.*\})$", shown, re.M)[1]

    observatory = parse_observatory(
        "chains: {a: photometry}\nsources: [{upload: a, chain: a}]\nweb:\n  tokens:\n    " + line
    )

    (entry,) = observatory.web.tokens
    assert (entry.name, entry.right) == ("wall display", "change")
    assert entry.hash == "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def test_no_two_tokens_are_alike(command):
    made = {json.loads(command("token", "--json").stdout)["token"] for _ in range(5)}
    assert len(made) == 5


def test_a_token_needs_a_proper_name(command):
    result = command("token", "<script>")

    assert result.exit_code == 2
    assert "cannot be the name of a token" in result.stderr
