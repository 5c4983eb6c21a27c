"""Weights & Biases: runs as it keeps them without a network, for `wandb sync` to send when a person says so."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from spikewise.files import make_folder, storage_errors, write_json
from spikewise.tracking.curves import Curve
from spikewise.tracking.tracker import missing, refusals_told

__all__ = ["WeightsAndBiases"]

_PROJECT: Final = "spikewise"
_DONE: Final = "spikewise.json"
_QUIET: Final = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}


class WeightsAndBiases:
    """A folder of offline runs.

    Its files cannot be added to by another process, so a training is told when it is over, to a folder that is moved
    to its place when it is whole: a replay that is killed leaves nothing that could be sent twice.
    """

    def __init__(self, folder: Path, out: str | None) -> None:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import wandb  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise missing("Weights & Biases", "wandb", error) from error
        self._wandb: Any = wandb
        self._root = (Path(out) if out is not None else folder) / "wandb"

    @property
    def place(self) -> str:
        """The folder of the offline runs."""
        return str(self._root)

    def log(self, curve: Curve) -> int:
        """As a tracker does; nothing before the training is over."""
        if curve.ended is None:
            return 0
        told = {"steps": [point.step for point in curve.points], "summary": dict(curve.summary)}
        before = [path for path in self._root.glob(f"offline-run-*-{curve.key}") if (path / _DONE).exists()]
        if any(json.loads((path / _DONE).read_text()) == told for path in before):
            return 0
        part = make_folder(self._root) / f".part-{curve.key}"
        with refusals_told(self.place), storage_errors(part):
            shutil.rmtree(part, ignore_errors=True)
            self._write(curve, make_folder(part))
            (made,) = (part / "wandb").glob(f"offline-run-*-{curve.key}")
            write_json(made / _DONE, told)
            made.rename(self._root / made.name)
            shutil.rmtree(part, ignore_errors=True)
        return sum(len(point.figures) for point in curve.points) + len(curve.summary)

    def close(self) -> None:
        """Nothing is held open."""

    def _write(self, curve: Curve, folder: Path) -> None:
        run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=curve.key,
            name=curve.name,
            group=curve.run,
            job_type=curve.facts.get("network", curve.facts["kind"]),
            config={**curve.settings, **{f"spikewise.{key}": value for key, value in curve.facts.items()}},
            mode="offline",
            dir=str(folder),
            reinit="create_new",
            settings=self._wandb.Settings(
                x_disable_stats=True, x_disable_machine_info=True, console="off", disable_git=True, save_code=False
            ),
        )
        for point in curve.points:
            run.log({**point.figures, "_timestamp": point.time}, step=point.step)
        run.summary.update(dict(curve.summary))
        run.finish()
