"""What a Slurm job does: one piece of work, told line by line into a file of the folder that all machines share."""

import json
from pathlib import Path
from typing import Any

from spikewise.executors.carry import pack, unpack
from spikewise.executors.node import node_name, supervise

__all__ = ["SlurmWork"]


class SlurmWork:
    """Pickled to where the job runs; called again where it was put back into the queue."""

    def __init__(self, order: dict[str, Any], lines: Path) -> None:
        self._order, self._lines = order, lines

    def __call__(self) -> None:
        """Do it."""
        order, root = self._order, Path(self._order["folder"])
        packed = pack(root, [*order["writes"], *order["reads"]]) if order["shared"] is False else None
        for said in supervise(order, packed):
            if "brought" in said:
                unpack(said["brought"], root, order["writes"])
            else:
                with self._lines.open("a") as file:
                    file.write(json.dumps({**said, "node": node_name()}) + "\n")

    def checkpoint(self) -> Any:
        """What to submit where the time is up, or a more important job came: it goes on from its last epoch."""
        from submitit.helpers import DelayedSubmission  # noqa: PLC0415  # an extra

        return DelayedSubmission(self)
