"""An object store that speaks the protocol of S3, on loopback: moto's, with its objects in memory."""

import logging
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.servers import free_port

QUICK = {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 1}}
"""A test does not wait for a server that is away on purpose."""


class ObjectStore:
    """The server; it can be ended and started again, with what it holds."""

    def __init__(self) -> None:
        self.port = free_port()
        self.key, self.secret = "AKIATEST", "a-secret-of-the-store-4711"
        self._server: Any = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, Any]:
        """What fsspec has to know: where it is. Who we are stands in the environment."""
        return {"endpoint_url": self.endpoint, "config_kwargs": QUICK}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of somebody who may write."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it."""
        from moto.moto_server.threaded_moto_server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        """End it; the objects stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def forget(self) -> None:
        """Forget everything, users too."""
        self._tell("reset", b"")

    def let_in_only_users(self) -> None:
        """From now on, only those are let in who are known; gives key and secret of one."""
        iam = self.client("iam")
        iam.create_user(UserName="etendue")
        iam.put_user_policy(
            UserName="etendue",
            PolicyName="all",
            PolicyDocument='{"Version": "2012-10-17", "Statement": '
            '[{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}]}',
        )
        made = iam.create_access_key(UserName="etendue")["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        self._tell("reset-auth", b"0")

    def let_in_everybody(self) -> None:
        """As at the start."""
        self._tell("reset-auth", b"inf")

    def _tell(self, what: str, content: bytes) -> None:
        kind = {"Content-Type": "application/octet-stream"}
        urlopen(Request(f"{self.endpoint}/moto-api/{what}", content, kind, method="POST"), timeout=20).close()

    def client(self, what: str = "s3") -> Any:
        """Amazon's own client, to look from outside."""
        import boto3

        return boto3.client(
            what,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )

    def objects(self, bucket: str) -> dict[str, bytes]:
        """What is in a bucket, without our own folder."""
        s3 = self.client()
        names = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]
        return {
            name: s3.get_object(Bucket=bucket, Key=name)["Body"].read()
            for name in names
            if ".etendue" not in name.split("/")
        }


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectStore]:
    """A running store for all tests of this process."""
    store = ObjectStore()
    store.start()
    yield store
    store.stop()


@pytest.fixture
def object_store(object_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A running store with the empty bucket ``night``; our environment says who we are."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    object_server.client().create_bucket(Bucket="night")
    yield object_server
    object_server.let_in_everybody()
    object_server.forget()
