"""Options that several commands share, so that each means the same everywhere."""

import shlex
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

__all__ = [
    "Again",
    "AsPublished",
    "Config",
    "Data",
    "DataDir",
    "Device",
    "Epochs",
    "Executor",
    "ExecutorSettings",
    "Json",
    "NetworkName",
    "Out",
    "Preset",
    "Quick",
    "Quiet",
    "Request",
    "RunPath",
    "Seed",
    "Seeds",
    "Settings",
    "SkipBad",
    "Thorough",
    "Threads",
    "Track",
    "With",
    "Without",
]

_WHAT, _HOW, _OUTPUT = "What to run", "How to run it", "Output"

Data = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="A known set (`spikewise data list`), or the path of an .npz, an IDX file or a folder of class folders; "
        "or a preset (`spikewise presets`).",
        show_default=False,
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Which of the run's seeds.", show_default=False)]
NetworkName = Annotated[
    str | None, typer.Option("--network", "-n", metavar="snn|twin|cnn", help="Which of the run's networks.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", "-p", metavar="NAME", help="A named experiment; see `spikewise presets`.", rich_help_panel=_WHAT
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="An experiment as a TOML file.", rich_help_panel=_WHAT),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Change one setting, such as train.batch_size=64; may be given again. See `spikewise config --schema`.",
        show_default=False,
        rich_help_panel=_WHAT,
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        metavar="N",
        min=1,
        help="How many seeds: one training each.",
        show_default="3",
        rich_help_panel=_WHAT,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        metavar="N",
        min=1,
        help="Epochs of each training.",
        show_default="by the set's size",
        rich_help_panel=_WHAT,
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="A first look: one seed, few epochs, no sections. What is asked for beside it stays.",
        rich_help_panel=_WHAT,
    ),
]
Thorough = Annotated[
    bool,
    typer.Option(
        "--thorough",
        help="Make every section whole, however long it takes; without it, sections take at most a quarter of the "
        "training's time.",
        rich_help_panel=_WHAT,
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad", help="Leave out image files that cannot be decoded, and list them.", rich_help_panel=_WHAT
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Make it again, though the run has it.")]
AsPublished = Annotated[
    bool,
    typer.Option(
        "--as-published",
        help="With the defects of the published code, where the preset knows some.",
        rich_help_panel=_WHAT,
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="SECTION",
        help="Leave out a section of the report: all, audit, yardsticks, anytime, calibration, robustness, "
        "explanations, diagnosis. May be given again.",
        show_default=False,
        rich_help_panel=_WHAT,
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="CONTROL",
        help="Train another network beside the others. noise: the twin, trained with the noise that the spikes of a "
        "rate code bring. qcfs: the twin with quantised activations, which `spikewise convert` makes spike.",
        show_default=False,
        rich_help_panel=_WHAT,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Where known sets are looked for first; then in $SPIKEWISE_DATA, then in the user's cache.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute.", show_default="auto",
                 rich_help_panel=_HOW),
]  # fmt: skip
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        help="Processor threads to use.",
        show_default="all",
        rich_help_panel=_HOW,
    ),
]
Executor = Annotated[
    str | None,
    typer.Option(
        "--executor",
        "-x",
        metavar="NAME[:WHERE]",
        help="What does the work: local[:PROCESSES], ray[:HOST:PORT] or slurm[:PARTITION]. See docs/executors.md.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]
ExecutorSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--executor-set",
        metavar="KEY=VALUE",
        help="A setting of the executor, such as gpus=1 or memory=8GB; may be given again.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", help="Folder that receives the run folder.", rich_help_panel=_OUTPUT),
]
Track = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="tensorboard|mlflow|wandb|csv",
        help="Another process tells this tracker of each epoch; `spikewise log` does so afterwards.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, and nothing else, on standard output.", rich_help_panel=_OUTPUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=_OUTPUT)]


class Request(NamedTuple):
    """What decides an experiment, as given on the command line."""

    data: str | None
    preset: str | None
    config: Path | None
    settings: list[str] | None
    seeds: int | None
    epochs: int | None
    device: str | None
    skip_bad: bool
    as_published: bool = False
    without: list[str] | None = None
    quick: bool = False
    controls: list[str] | None = None

    def whole(self, kind: str, *, out: Path, data_dir: Path | None) -> str:
        """The command for what was asked for, and not at a first look."""
        named = {
            "--preset": self.preset,
            "--config": self.config,
            "--seeds": self.seeds,
            "--epochs": self.epochs,
            "--device": self.device,
            "--data-dir": data_dir,
            "--out": None if out == Path("runs") else out,
        }
        repeated = {"--set": self.settings, "--without": self.without, "--with": self.controls}
        words = ["spikewise", kind, *([self.data] if self.data is not None else [])]
        words += [word for name, value in named.items() if value is not None for word in (name, str(value))]
        words += [word for name, values in repeated.items() for value in values or () for word in (name, value)]
        words += ["--skip-bad"] * self.skip_bad + ["--as-published"] * self.as_published
        return shlex.join(words)
