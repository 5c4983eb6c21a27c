"""The report's figures as files of their own, for papers and slides."""

from collections.abc import Sequence
from pathlib import Path

from spikewise import viz
from spikewise.evaluation import Results
from spikewise.files import make_folder, write_bytes
from spikewise.report.artifacts import Artifacts
from spikewise.report.shown import Shown

__all__ = ["FIGURE_FORMATS", "write_figures"]

FIGURE_FORMATS = ("svg", "pdf", "png")


def write_figures(
    folder: Path,
    shown: Shown,
    results: Results,
    artifacts: Artifacts | None,
    *,
    formats: Sequence[str] = ("svg",),
    width_mm: float | None = None,
) -> list[Path]:
    """Write every figure, the sample images and the first traced image's encoding into `folder`; return the figures.

    Args:
        formats: of `FIGURE_FORMATS`.
        width_mm: of every figure, in millimetres, letters and lines in proportion; None is as on the page.
    Raises:
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    traces = artifacts.traces if artifacts else None
    if artifacts is not None and len(artifacts.grid_images):
        grid = viz.sample_grid(artifacts.grid_images, artifacts.grid_labels, results.data.classes)
        viz.save_figure(grid, folder / "samples.png")
    if traces is not None and len(traces.encoded) and shown.samples and shown.samples[0].encoded is not None:
        scale = max(1, 160 // max(traces.encoded.shape[-2:]))
        write_bytes(folder / "encoded-0.gif", viz.encoded_animation(traces.encoded[0], scale=scale))
    written = []
    for panel in shown.panels:
        for suffix in formats:
            path = folder / f"{panel.key}.{suffix}"
            write_bytes(path, viz.figure_bytes(panel.standalone, suffix, width_mm=width_mm))
            written.append(path)
    return written
