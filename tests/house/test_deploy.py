"""What docs/deploy holds is what the pages say: a unit without rights, an image without rights, names that exist."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml


@pytest.fixture
def deploy(repository):
    return repository / "docs" / "deploy"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_understands_the_unit(deploy, tmp_path):
    unit = (deploy / "etendue.service").read_text()
    unit = unit.replace("/opt/etendue/bin/etendue", sys.executable)
    unit = re.sub(r"^(User|Group)=.*", r"\1=root", unit, flags=re.M)
    (tmp_path / "etendue.service").write_text(unit)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "etendue.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_gives_images_time_to_finish(deploy):
    from etendue.pipeline.daemon.settings import WorkerSettings

    unit = (deploy / "etendue.service").read_text()
    compose = yaml.safe_load((deploy / "compose.yaml").read_text())
    grace = WorkerSettings().grace

    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1]) > grace
    assert int(compose["services"]["etendue"]["stop_grace_period"].removesuffix("s")) > grace


def test_nothing_runs_as_root(deploy):
    dockerfile = (deploy / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\S+)$", dockerfile, re.M)
    assert user != "root"
    assert dockerfile.index("USER") < dockerfile.index("ENTRYPOINT")
    assert re.search(r"^User=etendue$", (deploy / "etendue.service").read_text(), re.M)


def test_the_image_is_built_of_what_is_there(deploy, repository):
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", (deploy / "Dockerfile").read_text(), re.M):
        for name in line.split():
            assert (repository / name).exists(), name


def test_the_pages_show_every_file(deploy, repository):
    page = (repository / "docs" / "operations.md").read_text()
    assert [path.name for path in deploy.iterdir() if f"deploy/{path.name}" not in page] == []
