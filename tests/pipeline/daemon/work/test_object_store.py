"""Products in an object store, by the protocol of S3: each complete under its name or not there, and none given up."""

import asyncio
import socket
from contextlib import suppress

import pytest

from etendue.pipeline.daemon.queue import JobState
from etendue.pipeline.daemon.work import stores
from etendue.pipeline.daemon.work.publish import publish
from etendue.pipeline.daemon.work.storage import StorageError, is_storage_problem, probe
from etendue.pipeline.daemon.work.stores import StoreDestination
from tests.foreman import Yard
from tests.s3 import object_server, object_store  # noqa: F401 - fixtures

from .test_publish import KilledError, Killer, stage

NAMES = ("a.fits", "M31/b.fits", "M31/deep/c d +ä%41.fits")
WHOLE = {name: f"content of {name}" for name in NAMES}

AT = "reduced/2026"


@pytest.fixture
def make(object_store, tmp_path):  # noqa: F811
    """``make(url)``: the store as a destination."""

    def made(url=f"s3://night/{AT}", state="state", **options):
        return StoreDestination("products", url, {**object_store.options, **options}, tmp_path / state / "staging")

    return made


def products(store):
    """What is in the bucket, by the names of products."""
    return {name.removeprefix(f"{AT}/"): data.decode() for name, data in store.objects("night").items()}


def test_products_and_nothing_else_go_into_the_bucket(make, object_store, tmp_path):  # noqa: F811
    store = make()
    staging, manifest = stage(store, *NAMES)

    publish(manifest, {"products": store})

    assert products(object_store) == WHOLE
    assert not [path for path in staging.rglob("*") if path.is_file()]
    publish(manifest, {"products": store})  # once more changes nothing
    assert store.open("a.fits").read() == b"content of a.fits"
    assert store.size("none.fits") is None
    with pytest.raises(FileNotFoundError, match=r"s3://night/reduced/2026/none\.fits"):
        store.open("none.fits")
    assert store.local("a.fits", tmp_path / "cache").read_bytes() == b"content of a.fits"


def test_an_upload_can_be_killed_after_any_request(make, object_store, monkeypatch):  # noqa: F811
    """Killed after each request in turn: nothing half is ever seen, and the next one completes it."""
    original = StoreDestination._asked
    store = make()
    for nth in range(100):
        for name in object_store.objects("night"):
            object_store.client().delete_object(Bucket="night", Key=name)
        object_store.client().put_object(Bucket="night", Key=f"{AT}/a.fits", Body=b"of an earlier version")
        _, manifest = stage(store, *NAMES, job=nth)
        killer = Killer(nth, "after")
        with monkeypatch.context() as patch:
            patch.setattr(StoreDestination, "_asked", killer.watch(original))
            with suppress(KilledError):
                publish(manifest, {"products": store})
        allowed = {name: {text} for name, text in WHOLE.items()}
        allowed["a.fits"].add("of an earlier version")
        assert all(text in allowed[name] for name, text in products(object_store).items())
        publish(manifest, {"products": store})
        assert products(object_store) == WHOLE
        if killer.calls <= nth:
            break
    assert nth >= 6


def test_a_bucket_that_is_missing_holds(make, object_store, tmp_path):  # noqa: F811
    store = make("s3://elsewhere/reduced")
    assert "s3://elsewhere/reduced: The specified bucket does not exist" in str(probe(store, tmp_path))
    object_store.client().create_bucket(Bucket="elsewhere")
    assert probe(store, tmp_path) is None
    staging, manifest = stage(store, "a.fits")
    (name,) = [entry["Key"] for entry in object_store.client().list_objects_v2(Bucket="elsewhere")["Contents"]]
    object_store.client().delete_object(Bucket="elsewhere", Key=name)
    object_store.client().delete_bucket(Bucket="elsewhere")

    with pytest.raises(StorageError, match="bucket does not exist") as caught:
        publish(manifest, {"products": store})

    assert is_storage_problem(caught.value)
    assert (staging / "a.fits").exists()
    assert probe(store, tmp_path) is not None  # what it took a moment ago does not count any more
    object_store.client().create_bucket(Bucket="elsewhere")
    publish(manifest, {"products": store})
    assert object_store.objects("elsewhere") == {"reduced/a.fits": b"content of a.fits"}


def test_a_server_that_is_restarted_holds(make, object_store, tmp_path):  # noqa: F811
    store = make()
    staging, manifest = stage(store, *NAMES)
    object_store.stop()

    with pytest.raises(StorageError, match="Could not connect"):
        publish(manifest, {"products": store})
    assert "Could not connect" in str(probe(store, tmp_path))
    assert len([path for path in staging.rglob("*") if path.is_file()]) == len(NAMES)
    object_store.start()

    assert probe(store, tmp_path) is None
    publish(manifest, {"products": store})
    assert products(object_store) == WHOLE


def test_whoever_is_not_let_in_holds_until_that_is_put_right(make, object_store, tmp_path, monkeypatch):  # noqa: F811
    object_store.let_in_only_users()
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = WRONG\naws_secret_access_key = wrong-4711\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store = make()

    why = str(probe(store, tmp_path))
    assert "PermissionError" in why
    assert "4711" not in why
    credentials.write_text(
        f"[default]\naws_access_key_id = {object_store.key}\naws_secret_access_key = {object_store.secret}\n"
    )
    assert probe(store, tmp_path) is None
    _, manifest = stage(store, *NAMES)
    publish(manifest, {"products": store})
    assert products(object_store) == WHOLE


def test_without_credentials_the_reason_says_so(make, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    assert "Unable to locate credentials" in str(probe(make(), tmp_path))


def test_a_store_that_never_answers_holds_nobody_up(make, tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "LONGEST_PROBE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = make(endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}")

        assert "has not answered for 0.5 s" in str(probe(store, tmp_path))


def test_an_earlier_product_of_the_same_size_is_not_taken_for_what_another_machine_has_staged(make, object_store):  # noqa: F811
    ours, theirs = make(state="ours"), make(state="theirs")
    object_store.client().put_object(Bucket="night", Key=f"{AT}/a.fits", Body=b"CONTENT OF a.fits")
    _, manifest = stage(theirs, "a.fits")

    with pytest.raises(FileNotFoundError, match="neither"):
        publish(manifest, {"products": ours})

    publish(manifest, {"products": theirs})
    publish(manifest, {"products": theirs})  # here it is known that it was uploaded
    assert products(object_store) == {"a.fits": "content of a.fits"}


def test_a_copy_to_be_looked_at_is_that_of_the_newest_product(make, tmp_path):
    store = make()
    for job, text in ((1, "first"), (2, "later")):
        staging, manifest = stage(store, "a.fits", job=job)
        (staging / "a.fits").write_text(text.ljust(manifest[0].size))
        publish(manifest, {"products": store})
        assert store.local("a.fits", tmp_path / "cache").read_text().strip() == text


def test_jobs_wait_for_a_bucket_and_none_fails(make, object_store, tmp_path):  # noqa: F811
    yard = Yard(tmp_path)
    yard.destinations["products"] = make("s3://later")
    names = [f"{number}.fits" for number in range(5)]
    numbers = yard.add(*names)

    async def scenario():
        async with yard.at_work():
            await yard.until(lambda: "bucket does not exist" in "".join(map(str, holds(yard))))
            assert not [number for number in numbers if yard.job(number).state in (JobState.FAILED, JobState.DONE)]
            await asyncio.to_thread(object_store.client().create_bucket, Bucket="later")
            await yard.until_settled()
            assert {yard.job(number).state for number in numbers} == {JobState.DONE}
            assert {yard.job(number).attempts for number in numbers} == {1}

    asyncio.run(scenario())
    assert object_store.objects("later") == dict.fromkeys(names, b"product")


def holds(yard):
    held = yard.foreman.holds
    return held.values() if isinstance(held, dict) else held.all
