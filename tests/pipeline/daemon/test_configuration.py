"""What an operator writes into observatory.yaml, and what is said about it."""

from pathlib import Path

import pytest

from etendue.pipeline import ConfigError
from etendue.pipeline.daemon.configuration import load_observatory, parse_observatory, queue_url
from etendue.pipeline.daemon.settings import IntervalSource, WatchSource, is_loopback

SMALLEST = """
chains: {photometry: photometry}
sources: [{watch: incoming, chain: photometry}]
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_observatory(text, filename="o.yaml")
    return str(caught.value).splitlines()


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path):
    (tmp_path / "o.yaml").write_text(SMALLEST)

    settings = load_observatory(tmp_path / "o.yaml")

    (source,) = settings.sources
    assert isinstance(source, WatchSource)
    assert source.watch == tmp_path / "incoming"
    assert settings.state == tmp_path / "state"
    assert settings.destinations["products"].url == str(tmp_path / "products")
    assert queue_url(settings) == f"sqlite:///{tmp_path / 'state' / 'queue.db'}"


def test_an_address_of_a_store_is_left_as_it_is(tmp_path: Path):
    text = SMALLEST + "destinations: {products: 's3://bucket/reduced', other: elsewhere}"

    settings = parse_observatory(text, base=tmp_path)

    assert settings.destinations["products"].url == "s3://bucket/reduced"
    assert settings.destinations["other"].url == str(tmp_path / "elsewhere")


def test_an_address_with_a_password_is_refused_and_not_repeated():
    text = SMALLEST + "destinations: {products: 'sftp://anna:geheim@dome7/reduced'}"

    (problem,) = problems(text)

    assert problem.startswith("o.yaml:4:")
    assert "password" in problem
    assert "options" in problem
    assert "geheim" not in problem


def test_a_file_of_ones_own_goes_before_a_built_in_chain(tmp_path: Path):
    assert parse_observatory(SMALLEST, base=tmp_path).chains["photometry"].file == "photometry"

    (tmp_path / "photometry").write_text("steps: []")

    assert parse_observatory(SMALLEST, base=tmp_path).chains["photometry"].file == str(tmp_path / "photometry")


def test_sources_without_a_name_get_one_each(tmp_path: Path):
    text = """
chains: {photometry: photometry}
sources:
  - {watch: a/incoming, chain: photometry}
  - {watch: b/incoming, chain: photometry}
  - {interval: 60 s, chain: photometry}
  - {upload: telescope, chain: photometry}
"""
    settings = parse_observatory(text, base=tmp_path)

    assert [source.name for source in settings.sources] == ["incoming", "incoming-2", "every 60 s", "telescope"]
    assert isinstance(settings.sources[0], WatchSource)
    assert isinstance(settings.sources[2], IntervalSource)


def test_durations_and_sizes_are_understood(tmp_path: Path):
    text = SMALLEST + "workers: {memory: 1.5 GiB, timeout: 5 min}"

    workers = parse_observatory(text, base=tmp_path).workers

    assert workers.memory == int(1.5 * 2**30)
    assert workers.timeout == 300.0


def test_all_misspelt_keys_are_reported_at_their_lines():
    text = """
chains:
  guiding: {file: quicklook, odrer: newest}
sources:
  - watch: incoming
    chain: guiding
    settel: 1 s
"""
    assert problems(text) == [
        "o.yaml:3:30: chains.guiding: unknown key 'odrer', did you mean 'order'?",
        "o.yaml:7:5: sources.1: unknown key 'settel', did you mean 'settle'?",
    ]


@pytest.mark.parametrize(
    ("addition", "said"),
    [
        ("workers: {memory: 2 XB}", "o.yaml:4:11: workers.memory: '2 XB' is no amount of memory"),
        ("web: {host: 0.0.0.0}", "o.yaml:4:1: web: 0.0.0.0 can be reached from other machines: add tokens"),
        (
            "web: {tokens: [{name: me, hash: secret}]}",
            "o.yaml:4:27: web.tokens.1.hash: 'secret' does not have the form",
        ),
        ("queue: {url: 3}", "o.yaml:4:9: queue.url: 3 is not text"),
    ],
)
def test_a_wrong_value_is_reported_where_it_stands(addition: str, said: str):
    [problem] = problems(SMALLEST + addition)

    assert problem.startswith(said)


def test_names_that_lead_nowhere_are_reported_where_they_stand(tmp_path: Path):
    text = """
chains: {photometry: {file: photometry, destination: prodcts}}
sources:
  - {watch: incoming, chain: photometri}
  - {watch: other, choose: [{when: {FILTER: R}, chain: photometry}, {chain: nothing}]}
"""
    said = problems(text)

    assert (
        said[0]
        == "o.yaml:2:41: chains.photometry.destination: there is no destination 'prodcts', did you mean 'products'?"
    )
    assert said[1] == "o.yaml:4:23: sources.1.chain: there is no chain 'photometri', did you mean 'photometry'?"
    assert said[2].startswith("o.yaml:5:70: sources.2.choose.2.chain: there is no chain 'nothing'")


def test_a_missing_chain_file_is_reported_where_it_is_named(tmp_path: Path):
    text = "chains: {p: nowhere.yaml}\nsources: [{watch: a, chain: p}]"

    [problem] = problems(text)

    assert problem.startswith("o.yaml:1:13: chains.p: there is no chain file")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{wach: incoming, chain: p}", "exactly one of the keys watch, upload, interval, mqtt, nats"),
        ("{watch: incoming}", "give either 'chain', or 'choose'"),
        ("{watch: incoming, upload: x, chain: p}", "exactly one of the keys"),
        ("{mqtt: 'mqtt://broker', topic: images, chain: p}", "say where messages may point to"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(source: str, said: str):
    [problem] = problems(f"chains: {{p: photometry}}\nsources: [{source}]")

    assert said in problem


def test_a_chain_given_for_an_observatory_is_recognised():
    assert "this is a chain, not an observatory" in problems("steps: []")[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.3.2.1"])
def test_loopback_needs_no_token(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.3", "::", "example.org", ""])
def test_everything_else_does(host: str):
    assert not is_loopback(host)


@pytest.mark.parametrize("products", ["data/incoming", "data", "."])
def test_products_do_not_go_where_images_come_from(products: str):
    sources = "chains: {p: photometry}\nsources: [{watch: data/incoming, chain: p}]\n"
    text = sources + f"destinations: {{products: {products}}}"

    (problem,) = problems(text)

    assert problem.startswith("o.yaml:3:16: destinations.products: products would go into the watched folder")
