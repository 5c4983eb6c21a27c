"""`encode`: see what an encoder makes of an image."""

from pathlib import Path
from typing import Annotated

import typer

from spikewise.cli import options as o

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Images")(encode)


def encode(  # noqa: PLR0913  # one parameter for each option
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image file.", show_default=False)],
    *,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help="A raster (.png, .svg, .pdf) or an animation (.gif)."),
    ] = Path("encoded.gif"),
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", "-e", metavar="rate|latency|periodic|direct|delta", show_default="rate"),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Time steps.", show_default="the encoder's own")] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="N|HxW", help="Resize first.", show_default="as stored")
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="One channel.")] = False,
    settings: o.Settings = None,
) -> None:
    """Turn an image into spikes, and draw them over time."""
    from spikewise.api import encode as encode_image
    from spikewise.api import save_encoded
    from spikewise.data import decode_image
    from spikewise.experiments import resolve
    from spikewise.experiments.settings import Change

    given = [
        Change("encoder.kind", encoder, f"--encoder {encoder}"),
        Change("encoder.steps", steps, f"--steps {steps}"),
        Change("data.size", size, f"--size {size}"),
        Change("data.grey", grey or None, "--grey"),
    ]
    asked: list[str | Change] = [change for change in given if change.value is not None]
    experiment = resolve(str(image), overrides=[*asked, *(settings or [])])
    chosen = experiment.encoder if experiment.encoder.kind != "auto" else experiment.encoder.drawn()
    data = experiment.data
    aspect = data.aspect or "stretch"
    encoded = encode_image(image, chosen, size=data.given_size, grey=data.grey, aspect=aspect)
    pixels = decode_image(image, size=data.given_size, grey=data.grey, aspect=aspect)
    save_encoded(encoded, out, title=f"{chosen.label}: {image.name}", image=pixels)
    print(out)
