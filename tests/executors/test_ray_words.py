"""What is said of a Ray cluster that cannot be used, or has lost what work asks for."""

import pytest

from spikewise.errors import ExecutorError
from spikewise.executors import RayExecutor, ray_cluster
from spikewise.executors.ray_cluster import RayCluster
from spikewise.executors.work import Word

READY = [{"places": 2}, {"ready": "a cluster", "nodes": 2, "largest": {"CPU": 1, "GPU": 0, "memory": 2**30}}]
TOKEN = "[2026-11-28 11:15:23,801 W 1 1] gcs_client.cc:210: Failed: Unauthenticated: RPC error: InvalidAuthToken: ...\n"


class Talker:
    """In the place of the process that talks to Ray: says what it is told to say, a list each time it is asked."""

    said: list
    code = None
    logged = ""

    def __init__(self, module, arguments, log, environment):
        log.write_text(self.logged)

    def answers(self, wait=0.0):
        said = self.said.pop(0) if self.said else []
        if isinstance(said, BaseException):
            raise said
        return said

    def exit_code(self):
        return self.code

    def terminate(self):
        type(self).stopped = True

    def end(self, wait):
        type(self).over = True


@pytest.fixture
def talks(monkeypatch):
    pytest.importorskip("ray")

    def make(*said, code=None, logged=""):
        made = type(
            "Scripted", (Talker,), {"said": list(said), "code": code, "logged": logged, "over": False, "stopped": False}
        )
        monkeypatch.setattr(ray_cluster, "LineProcess", made)
        monkeypatch.setattr(ray_cluster, "_READY", 0.5)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        return made

    return make


@pytest.mark.parametrize(
    ("said", "logged", "words"),
    [
        ([[{"refused": "ConnectionError: Failed"}]], TOKEN, "it asks for a token.*RAY_AUTH_TOKEN"),
        (
            [[{"refused": "ValueError: no."}]],
            "[a b] x.cc:1: It is odd.\n",
            r"cannot be used: ValueError: no.; It is odd\.$",
        ),
        ([], "", r"it did not answer within 0\.5 s\.$"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_told_with_what_ray_says(talks, tmp_path, said, logged, words):
    talker = talks(*said, logged=logged)
    with pytest.raises(ExecutorError, match=words):
        RayCluster(RayExecutor(), tmp_path, tmp_path)
    assert talker.over


def test_a_process_that_dies_before_it_has_reached_the_cluster_is_told(talks, tmp_path):
    talks(code=-6)
    with pytest.raises(ExecutorError, match="the process that talks to it ended with code -6"):
        RayCluster(RayExecutor(), tmp_path, tmp_path)


def test_ctrl_c_while_a_cluster_is_reached_ends_what_reaches_it(talks, tmp_path):
    talker = talks([], KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        RayCluster(RayExecutor(), tmp_path, tmp_path)
    assert talker.stopped
    assert talker.over


def test_a_cluster_that_loses_its_only_fitting_node_is_told_of_once(talks, tmp_path):
    talks(READY, [{"places": 1}], [{"places": 0}], [], [{"places": 1}])
    cluster = RayCluster(RayExecutor(gpus=0.5), tmp_path, tmp_path)
    told = [cluster.events() for _ in range(4)]
    assert [[type(event) for event in events] for events in told] == [[], [Word], [], [Word]]
    assert "it waits for one" in told[1][0].text
    assert "again" in told[3][0].text
