"""Which executor a text names; every mistake is a message that says what there is."""

import socket
import threading
from contextlib import contextmanager

import pytest

from spikewise.errors import ConfigError, DependencyError, ExecutorError
from spikewise.executors import LocalExecutor, RayExecutor, SlurmExecutor, executor_from, must_be_there, open_executor
from spikewise.executors.ray_server import running_cluster
from spikewise.experiments.spread import asked_executor


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("local", LocalExecutor()),
        ("local:4", LocalExecutor(jobs=4)),
        ("ray", RayExecutor()),
        ("ray:10.0.0.1:6379", RayExecutor(address="10.0.0.1:6379")),
        ("slurm", SlurmExecutor()),
        ("slurm:gpu", SlurmExecutor(partition="gpu")),
    ],
)
def test_a_text_names_an_executor(text, meant):
    assert executor_from(text) == meant


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("rya", [], "Did you mean 'ray'"),
        ("local:many", [], "such as local:4"),
        ("local:0", [], "such as local:4"),
        ("slurm:", [], "ends with a colon"),
        ("ray", ["gpu=1"], "gpus"),
        ("ray", ["memory=lots"], "memory"),
        ("local", ["gpus=1"], "gpus"),
        ("ray", ["cpus=0"], "cpus"),
        (None, ["gpus=1"], "--executor"),
    ],
)
def test_a_mistake_is_told(text, settings, said):
    with pytest.raises(ConfigError, match=said):
        asked_executor(text, settings)


def test_what_is_asked_for_is_laid_over_what_the_file_says():
    file = {"kind": "ray", "gpus": 1, "memory": "8 GB"}
    assert asked_executor(None, default=file) == RayExecutor(gpus=1, memory="8 GB")
    assert asked_executor("ray:h:1", ["gpus=0.5"], default=file) == RayExecutor(address="h:1", gpus=0.5, memory="8 GB")
    assert asked_executor("slurm:a", ["options.nice=5"], default=file, jobs=3) == SlurmExecutor(
        partition="a", options={"nice": 5}, jobs=3
    )
    assert asked_executor(None, jobs=2) == LocalExecutor(jobs=2)
    assert asked_executor(None) is None
    assert RayExecutor(memory="1.5 GB").memory_bytes == 3 * 2**29


@pytest.mark.parametrize(("config", "extra"), [(RayExecutor(), "ray"), (SlurmExecutor(), "slurm")])
def test_a_missing_extra_says_what_to_install(config, extra, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=rf"pip install 'spikewise\[{extra}\]'"):
        open_executor(config, tmp_path, tmp_path / "claims")


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("127.0.0.1:1", ExecutorError, "No Ray cluster answers at 127.0.0.1:1"),
        ("a..b:6379", ExecutorError, "No Ray cluster answers at a..b:6379: no host can have such a name"),
        ("[::1]:1", ExecutorError, r"No Ray cluster answers at \[::1\]:1: (Connection refused|Cannot assign)"),
        (" host:6379", ConfigError, "HOST:PORT"),
        ("ray://host:10001", ConfigError, "HOST:PORT"),
        ("host", ConfigError, "HOST:PORT"),
        ("host:99999", ConfigError, "HOST:PORT"),
    ],
)
def test_an_address_that_is_no_clusters_is_told_at_once(address, error, said, tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(error, match=said):
        open_executor(executor_from(f"ray:{address}"), tmp_path, tmp_path / "claims")


def test_an_address_in_the_environment_that_is_none_is_told(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(ConfigError, match=r"HOST:PORT.*'auto'"):
        open_executor(RayExecutor(), tmp_path, tmp_path / "claims")


def test_a_machine_without_sbatch_is_told(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="login node"):
        open_executor(SlurmExecutor(), tmp_path, tmp_path / "claims")


SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100])
"""How a server of HTTP/2 begins."""


@contextmanager
def answering(listener, words):
    """Something that says these words to whoever comes first."""

    def answer():
        there, _ = listener.accept()
        with there:
            there.sendall(words)
            there.recv(1024)

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_port_of_something_else_is_told_before_any_image_is_read(cpus):
    """Ray would try for minutes: the port of its own dashboard is such a one."""
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with (
            answering(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            pytest.raises(ExecutorError, match=f"No Ray cluster answers at {address}: what listens .*8265"),
        ):
            must_be_there(RayExecutor(address=address, cpus=cpus))


def test_a_cluster_of_this_machine_that_died_is_none(monkeypatch):
    """The file in which Ray notes it is still there, and Ray would wait for minutes."""
    utils = pytest.importorskip("ray._private.utils")
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{there.getsockname()[1]}"
        monkeypatch.setattr(utils, "read_ray_address", lambda: address)
        assert running_cluster() is None
        there.listen()
        with answering(there, SETTINGS):
            assert running_cluster() == address
        with answering(there, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            assert running_cluster() is None
    monkeypatch.setattr(utils, "read_ray_address", lambda: None)
    assert running_cluster() is None
