"""Tasks of a Ray cluster, to which a process of its own gives the orders."""

import importlib.util
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from spikewise.config import parse
from spikewise.errors import ConfigError, DependencyError, ExecutorError, readable
from spikewise.executors.config import RayExecutor
from spikewise.executors.executor import Attempt
from spikewise.executors.lines import ONE_THREAD, LineProcess
from spikewise.executors.ray_server import answers_at
from spikewise.executors.work import Beat, Ended, Event, Word
from spikewise.files import make_folder

__all__ = ["RayCluster", "must_have"]

_READY: Final = 90.0
"""Seconds until a cluster has been reached or made."""
_AHEAD: Final = 2
"""Work that waits there for each that is done: a machine that has become free waits for nobody."""
_LEAVES: Final = 10.0


class RayCluster:
    """A cluster that runs already, or one that this machine has for the time of the command.

    Args:
        config: where it is, and what each piece of work needs.
        logs: folder of what Ray says.
        claims: folder of the claims, by which its machines find out whether they see the runs.
    Raises:
        DependencyError: Ray is not installed.
        ConfigError: no machine of the cluster has what the work needs, or the address is none.
        ExecutorError: the cluster cannot be reached.
    """

    def __init__(self, config: RayExecutor, logs: Path, claims: Path) -> None:
        address = _must_answer(config)
        self._config, self._claims = config, claims
        self._log = make_folder(logs) / "ray.txt"
        self._names: dict[int, str] = {}
        self._count, self._room = 0, 0
        settings = {
            "address": address,
            "jobs": config.jobs,
            "cpus": config.cpus,
            "gpus": config.gpus,
            "memory": config.memory_bytes,
        }
        import json  # noqa: PLC0415

        self._server = LineProcess("spikewise.executors.ray_server", [json.dumps(settings)], self._log, ONE_THREAD)
        try:
            self.where = self._ready()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self._server.terminate()  # it hears of no end while it waits for a cluster; what it began ends with it
            self.close()
            raise

    @property
    def places(self) -> int:
        """What the cluster does at once, and some that waits there."""
        return self._config.jobs or max(1, self._room) * _AHEAD

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Begin some work."""
        for attempt in attempts:
            self._count += 1
            self._names[self._count] = attempt.work.name
            order = {
                **attempt.work.order(),
                "number": self._count,
                "threads": self._config.cpus,
                "avoid": list(attempt.avoid),
                "claim": str((self._claims / f"{attempt.work.name}.json").absolute()),
                "token": attempt.token,
                "shared": self._config.shared,
                "bring": self._config.bring,
            }
            self._server.tell(order)

    def events(self, wait: float = 0.0) -> list[Event]:
        """What has happened since."""
        code = self._server.exit_code()
        found = [event for said in self._server.answers(wait) if (event := self._event(said)) is not None]
        if code is not None and not found:
            raise ExecutorError(
                f"The Ray cluster cannot be reached any more (see {self._log}). What is finished is kept; the same "
                "command goes on."
            )
        return found

    def cancel(self, name: str) -> None:
        """End some work."""
        for number, known in list(self._names.items()):
            if known == name:
                del self._names[number]
                self._server.tell({"cancel": number})

    def adopt(self, attempt: Attempt, handle: str) -> bool:
        """Nothing: Ray ends work when whoever gave it has died."""
        del attempt, handle
        return False

    def close(self) -> None:
        """End what still runs."""
        self._server.end(_LEAVES)

    def _ready(self) -> str:
        """Wait for the cluster."""
        deadline = time.monotonic() + _READY
        while time.monotonic() < deadline:
            code = self._server.exit_code()
            for said in self._server.answers(0.2):
                if "places" in said:
                    self._room = said["places"]
                if "refused" in said:
                    raise ExecutorError(f"{self._named()} cannot be used: {self._why(said['refused'])}")
                if "ready" in said:
                    self._must_have_room(said["largest"])
                    nodes = "1 node" if said["nodes"] == 1 else f"{said['nodes']} nodes"
                    return f"{self._config.jobs or self._room} at a time on {said['ready']} ({nodes})"
            if code is not None:
                died = f"the process that talks to it ended with code {code}"
                raise ExecutorError(f"{self._named()} cannot be used: {self._why(died)}")
        raise ExecutorError(f"{self._named()} cannot be used: {self._why(f'it did not answer within {_READY:g} s')}")

    def _named(self) -> str:
        address = self._config.address
        return "Ray" if address is None else f"The Ray cluster at {address}"

    def _why(self, said: str) -> str:
        """What was said, and the last that stands in the log of Ray, whose folder may be gone soon."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        if any("InvalidAuthToken" in line for line in lines):
            return "it asks for a token, which RAY_AUTH_MODE=token and RAY_AUTH_TOKEN give in the environment."
        last = next((line for line in reversed(lines) if line.strip()), "")
        parts = [said, re.sub(r"^\[[^]]*\] \S+:\d+: ", "", last)]
        return readable("; ".join(filter(None, parts))).rstrip(".") + "."

    def _must_have_room(self, largest: dict[str, float]) -> None:
        if self._room:
            return
        memory = largest["memory"] / 2**30
        raise ConfigError(
            f"No node of the Ray cluster has what each piece of work asks for: {self._config.cpus} CPUs, "
            f"{self._config.gpus:g} GPUs, memory {self._config.memory or 'unsaid'}. The most that a node has is "
            f"{largest['CPU']:g} CPUs, {largest['GPU']:g} GPUs and {memory:.1f} GB. Ask for less, or add a node."
        )

    def _event(self, said: dict[str, Any]) -> Event | None:
        if "places" in said:
            had, self._room = self._room, said["places"]
            if had and not self._room:
                return Word(
                    "No node of the Ray cluster has what each piece of work asks for any more; it waits for one."
                )
            return Word("The Ray cluster has room for the work again.") if self._room and not had else None
        number, node = said["number"], said.get("node", "")
        name = self._names.get(number)
        if name is None:  # it was given up
            return None
        if "beat" in said:
            return Beat(name, node, said["beat"])
        del self._names[number]
        return Ended(name, said["code"], said.get("error", ""), node, bool(said.get("again", True)))


def must_have(config: RayExecutor) -> None:
    """A cluster can be reached, or made; where more is asked for than any machine has, that there is a node with it.

    Raises:
        DependencyError, ConfigError, ExecutorError: as of `RayCluster`.
    """
    _must_answer(config)
    if config.gpus or config.memory or config.cpus > 1:
        with tempfile.TemporaryDirectory(prefix="spikewise-ray-") as place:
            RayCluster(config, Path(place), Path(place)).close()


def _must_answer(config: RayExecutor) -> str | None:
    """The address of a cluster, if one is asked for; somebody listens there."""
    if importlib.util.find_spec("ray") is None:
        raise DependencyError("The executor 'ray' needs Ray, which is not installed: pip install 'spikewise[ray]'.")
    address, named = config.address, os.environ.get("RAY_ADDRESS")
    if address is None and named:
        address = parse(RayExecutor, {"address": named}).address
    if address is None:
        return None
    error = answers_at(address)
    if error is not None:
        raise ExecutorError(
            f"No Ray cluster answers at {address}: {error.strerror or error}. `ray start --head` begins one, and says "
            "its address, with port 6379 if no other is named (8265 is its dashboard's, 10001 that of Ray's client)."
        )
    return address
