"""A process that gives orders to a Ray cluster: Ray ends a process that has lost its cluster; it should not be ours.

It reads a line of JSON for each order, and writes lines of JSON: how much work the cluster has room for, signs of life,
and ends. What machines bring back it puts in place itself.
"""

import contextlib
import faulthandler
import json
import logging
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from spikewise import __version__
from spikewise.errors import SpikewiseError
from spikewise.executors.carry import pack, unpack

__all__ = ["answers_at", "main", "running_cluster"]

_REACHED: Final = 5.0
_SPEAKS: Final = 20.0
"""Seconds until a cluster on a busy machine has said its first word."""
_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How HTTP/2 (RFC 9113, 3.4) begins, which Ray's servers speak: a line, and settings, of which there are none."""
_LOOK: Final = 10.0
"""Seconds between two looks at what the cluster has."""
_NICENESS: Final = "RAY_worker_niceness"
_STORE: Final = 256 * 2**20
"""Bytes of the object store of a cluster that is made for one command: results are small."""


def main() -> None:
    """Serve until there are no more orders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever gives the orders
    faulthandler.enable()  # what Ray aborts for is in the log then
    settings = json.loads(sys.argv[1])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault(_NICENESS, "0")  # of a cluster that is begun here; on a busy machine 15 would be next to none
    answers = os.dup(1)
    os.dup2(2, 1)  # what Ray prints goes into the log
    server = _Server(settings, answers)
    if server.connect():
        server.serve()


class _Server:
    def __init__(self, settings: dict[str, Any], answers: int) -> None:
        self._settings, self._answers = settings, answers
        self._flights: dict[int, _Flight] = {}
        self._places, self._looked = 0, 0.0
        self._rest, self._open = b"", True

    def connect(self) -> bool:
        """Reach the cluster, or say why not."""
        import ray  # noqa: PLC0415  # an extra

        address, jobs = self._settings["address"] or running_cluster(), self._settings["jobs"]
        try:
            if address is not None:
                self._init(address)
                where = f"the Ray cluster at {ray.get_runtime_context().gcs_address}"
            else:
                self._init("local", object_store_memory=_STORE, num_cpus=jobs and jobs * self._settings["cpus"])
                where = "a Ray cluster of this machine, begun for this command"
        except Exception as error:  # whatever Ray raises where versions or networks do not fit
            self._say({"refused": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"})
            return False
        self._look()
        self._say({"ready": where, "nodes": len(_nodes()), "largest": _largest()})
        return True

    def _init(self, address: str, **own: Any) -> None:
        import ray  # noqa: PLC0415

        ray.init(
            address=address,
            include_dashboard=False if own else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            namespace="spikewise",
            **own,
        )

    def serve(self) -> None:
        """Until there are no more orders; what is at work ends with this process."""
        orders = sys.stdin.fileno()
        while self._open:
            busy = bool(self._flights)
            ready, _, _ = select.select([orders], [], [], 0 if busy else 1.0)
            if ready:
                part = os.read(orders, 1 << 20)
                self._open = bool(part)
                *lines, self._rest = (self._rest + part).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
            self._hear()
            if time.monotonic() - self._looked > _LOOK:
                self._look()

    def _obey(self, order: dict[str, Any]) -> None:
        if "cancel" in order:
            flight = self._flights.pop(order["cancel"], None)
            if flight is not None:
                flight.cancel()
            return
        try:
            self._flights[order["number"]] = _Flight(order, self._settings)
        except SpikewiseError as error:
            self._say({"number": order["number"], "code": 2, "error": str(error), "again": False})

    def _hear(self) -> None:
        """Take what has been said by those at work."""
        import ray  # noqa: PLC0415

        if not self._flights:
            return
        by_generator = {flight.generator: number for number, flight in self._flights.items()}
        ready, _ = ray.wait(list(by_generator), num_returns=len(by_generator), timeout=0.1)
        for generator in ready:
            number = by_generator[generator]
            for said in self._flights[number].heard():
                self._say({"number": number, **said})
                if "code" in said:
                    del self._flights[number]

    def _look(self) -> None:
        """How much the cluster has room for; told when it changes."""
        self._looked = time.monotonic()
        places = sum(_room(node, self._settings) for node in _nodes())
        if places != self._places:
            self._places = places
            self._say({"places": places})

    def _say(self, told: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._answers, json.dumps(told).encode() + b"\n")


class _Flight:
    """Work that the cluster has."""

    def __init__(self, order: dict[str, Any], settings: dict[str, Any]) -> None:
        import ray  # noqa: PLC0415

        self._root, self._writes = Path(order["folder"]), list(order["writes"])
        self._node, self._code = "", None
        packed = None
        if order["shared"] is not True:
            packed = pack(self._root, [*self._writes, *order["reads"]])
        others = {node["NodeID"] for node in _nodes() if _room(node, settings)}
        avoid = {node for node in others if any(name.endswith(_mark(node)) for name in order["avoid"])}
        elsewhere = {"label_selector": {"ray.io/node-id": f"!in({','.join(sorted(avoid))})"}} if others - avoid else {}
        task = ray.remote(num_returns="streaming", max_retries=0)(_task)
        self.generator: Any = task.options(
            num_cpus=settings["cpus"],
            num_gpus=settings["gpus"] or None,
            memory=settings["memory"],
            name=order["name"],
            **(elsewhere if avoid else {}),
        ).remote(json.dumps(order), packed, __version__)

    def heard(self) -> Iterator[dict[str, Any]]:
        """What it has said since, or how it ended."""
        import ray  # noqa: PLC0415

        try:
            said: dict[str, Any] = ray.get(next(self.generator))
        except StopIteration:
            yield self._over(1, "The task ended without a word.")
            return
        except ray.exceptions.RayError as error:
            yield self._over(1, f"The machine or its process died ({type(error).__name__}).")
            return
        self._node = said.get("node", self._node)
        if "brought" in said:
            try:
                unpack(said["brought"], self._root, self._writes)
            except SpikewiseError as error:
                self.cancel()
                yield {"code": 2, "error": str(error), "again": True, "node": self._node}
        elif "ended" in said:
            yield {"code": said["ended"], "error": said["message"], "again": said["again"], "node": self._node}
        else:
            yield {"beat": said["beat"], "node": self._node}

    def _over(self, code: int, why: str) -> dict[str, Any]:
        return {"code": code, "error": why, "again": True, "node": self._node}

    def cancel(self) -> None:
        """End it."""
        import ray  # noqa: PLC0415

        with contextlib.suppress(Exception):  # it may have ended in the meantime, in any way
            ray.cancel(self.generator, force=False)


def running_cluster() -> str | None:
    """Address of the Ray cluster that runs on this machine, if one does: the file that says so outlives a dead one."""
    from ray._private.utils import read_ray_address  # noqa: PLC0415  # where it lies is Ray's own business

    address = read_ray_address()
    return address if address and answers_at(address) is None else None


def answers_at(address: str) -> OSError | None:
    """Why no cluster answers at HOST:PORT; None where one may. Ray itself waits for minutes, and ends the process."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _REACHED) as there:
            if os.environ.get("RAY_USE_TLS", "0").lower() not in ("0", "", "false"):  # they speak in ciphers
                return None
            there.settimeout(_SPEAKS)
            there.sendall(_GREETING)
            heard = there.recv(64)
    except OSError as error:
        return error
    except UnicodeError:  # a part between dots is empty, or longer than names may be
        return OSError("no host can have such a name")
    settings = heard[3:4] == b"\x04"  # as they are the first that a server says
    return None if settings else OSError("what listens there is something else")


def _nodes() -> list[dict[str, Any]]:
    import ray  # noqa: PLC0415

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _room(node: dict[str, Any], settings: dict[str, Any]) -> int:
    """How much of the work a machine could do at once."""
    there = node["Resources"]
    needs = {"CPU": settings["cpus"], "GPU": settings["gpus"], "memory": settings["memory"] or 0}
    return min((math.floor(there.get(name, 0) / need + 1e-9) for name, need in needs.items() if need), default=1)


def _largest() -> dict[str, float]:
    """The most of each resource that one machine has."""
    nodes = [node["Resources"] for node in _nodes()]
    return {name: max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU", "memory")}


def _mark(node: str) -> str:
    """What a node is told by, beside the name of its host: there may be several on one."""
    return f" ({node[:8]})"


def _task(order: str, packed: bytes | None, version: str) -> Iterator[dict[str, Any]]:
    """Sent to the machines as it stands here: what it needs is looked for there."""
    import json  # noqa: PLC0415
    import os  # noqa: PLC0415

    import ray  # noqa: PLC0415

    host = os.uname().nodename if hasattr(os, "uname") else "the machine"
    node = {"node": f"{host} ({ray.get_runtime_context().get_node_id()[:8]})"}
    try:
        from spikewise import __version__ as found  # noqa: PLC0415
        from spikewise.executors.node import supervise  # noqa: PLC0415
    except ImportError as error:
        told = f"{host} lacks it: {error}. Install it there: pip install 'spikewise[ray]=={version}'."
        yield {"ended": 2, "message": told, "again": True, **node}
        return
    if found != version:
        told = f"{host} has spikewise {found}, and this is {version}. Install the same there."
        yield {"ended": 2, "message": told, "again": True, **node}
        return
    for said in supervise(json.loads(order), packed):
        yield {**said, **node}


if __name__ == "__main__":
    main()
