"""The report's figures as files of their own, for papers and slides."""

from pathlib import Path

from spikewise import viz
from spikewise.evaluation import Results
from spikewise.files import make_folder, write_bytes
from spikewise.report import pictures, samples
from spikewise.report.artifacts import Artifacts
from spikewise.report.pictures import Panel
from spikewise.report.sections import views

__all__ = ["write_figures"]


def write_figures(folder: Path, results: Results, artifacts: Artifacts | None, run: Path | None = None) -> None:
    """Write every figure as .svg, and the first traced image's encoding as .gif, into `folder`.

    Args:
        run: The run folder, for the arrays of its sections.
    Raises:
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    panels: list[Panel | None] = [*pictures.curves(results), *pictures.confusions(results)]
    panels += [pictures.rates(results), pictures.costs(results)]
    panels += [panel for view in views(results, run) for panel in view.panels]
    traces = artifacts.traces if artifacts else None
    if artifacts is not None and len(artifacts.grid_images):
        grid = viz.sample_grid(artifacts.grid_images, artifacts.grid_labels, results.data.classes)
        viz.save_figure(grid, folder / "samples.png")
    if traces is not None and len(traces):
        first = samples.sample(traces, 0, results.data.classes)
        panels += [first.raster, first.membrane, first.evidence]
        if len(traces.encoded) and first.encoded is not None:
            scale = max(1, 160 // max(traces.encoded.shape[-2:]))
            write_bytes(folder / "encoded-0.gif", viz.encoded_animation(traces.encoded[0], scale=scale))
    for panel in panels:
        if panel is not None:
            viz.save_figure(panel.figure, folder / f"{panel.key}.svg")
