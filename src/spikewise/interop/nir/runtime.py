"""A NIR file that was written here, run on images by the interpreter: the foreign runtime of the check."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8

from spikewise.interop.nir.interpreter import Interpreter, Rules
from spikewise.interop.nir.notes import Notes
from spikewise.interop.runtime import Sent
from spikewise.readouts import Trajectory
from spikewise.ties import without_ties
from spikewise.types import Draw

if TYPE_CHECKING:
    import nir

__all__ = ["NirRuntime"]


class NirRuntime:
    """A graph with our metadata, which say what NIR does not: encoder, readout, the random numbers' seed.

    Args:
        rules: how the equations become steps; None: as the tool reads them that the file was written for.
        title: what the runtime is called.
    """

    def __init__(self, graph: "nir.NIRGraph", notes: Notes, rules: Rules | None = None, title: str = "") -> None:
        described = notes.parsed()
        self._encoder, self._readout, self._seed = described.encoder, described.readout, notes.seed
        self._layers = described.spiking_layers
        self._run = Interpreter(graph, Rules(notes.form, at_least=notes.form.at_least) if rules is None else rules)
        self._last = next(a for a, b in graph.edges if b == "output")
        self._title = title

    @property
    def name(self) -> str:
        """That of the interpreter."""
        return self._title or "an interpreter of the NIR equations (NumPy)"

    def __call__(self, images: UInt8[np.ndarray, "B C H W"]) -> Sent:
        """Scores and spikes."""
        draw = Draw(self._seed, 0, torch.zeros(len(images), dtype=torch.int64))
        encoded = self._encoder(torch.from_numpy(np.ascontiguousarray(images)), draw)
        seen, output = self._run(encoded.numpy())
        last = seen.get(self._last)
        membrane = torch.from_numpy(output if last is None else last.membrane)
        spikes = None if last is None or last.spikes is None else torch.from_numpy(last.spikes)
        logits = self._readout(Trajectory(spikes, membrane)).float()
        scores = without_ties(logits, membrane.float().mean(0), draw.index).numpy()
        return Sent(scores, {name: _counted(seen[name].spikes) for name in self._layers})


def _counted(spikes: np.ndarray | None) -> np.ndarray:
    assert spikes is not None
    return spikes.astype(np.int16)
