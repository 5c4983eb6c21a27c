"""`compare`, `train` and `config`: the commands that start from an experiment."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_places, print_rows, print_text
from spikewise.cli.options import Request

if TYPE_CHECKING:
    from spikewise.api import Run
    from spikewise.experiments import Experiment

__all__ = ["print_run", "register"]

_GROUP = "Train and compare"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_GROUP)(compare)
    app.command(rich_help_panel=_GROUP)(train)
    app.command(rich_help_panel=_GROUP)(config)


def compare(  # noqa: PLR0913  # one parameter for each option
    data: o.Data = None,
    *,
    preset: o.Preset = None,
    config: o.Config = None,
    settings: o.Settings = None,
    seeds: o.Seeds = None,
    epochs: o.Epochs = None,
    quick: o.Quick = False,
    thorough: o.Thorough = False,
    skip_bad: o.SkipBad = False,
    as_published: o.AsPublished = False,
    without: o.Without = None,
    with_: o.With = None,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    threads: o.Threads = None,
    out: o.Out = Path("runs"),
    track: o.Track = None,
    executor: o.Executor = None,
    executor_settings: o.ExecutorSettings = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Train a spiking network, its conventional twin and a CNN under one protocol, and say which is worth it."""
    request = Request(
        data, preset, config, settings, seeds, epochs, device, skip_bad, as_published, without, quick, with_
    )
    _run(
        "compare",
        request,
        data_dir=data_dir,
        threads=threads,
        out=out,
        as_json=as_json,
        quiet=quiet,
        thorough=thorough,
        track=track,
        executor=(executor, executor_settings),
    )


def train(  # noqa: PLR0913  # one parameter for each option
    data: o.Data = None,
    *,
    preset: o.Preset = None,
    config: o.Config = None,
    settings: o.Settings = None,
    seeds: o.Seeds = None,
    epochs: o.Epochs = None,
    quick: o.Quick = False,
    thorough: o.Thorough = False,
    skip_bad: o.SkipBad = False,
    as_published: o.AsPublished = False,
    without: o.Without = None,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    threads: o.Threads = None,
    out: o.Out = Path("runs"),
    track: o.Track = None,
    executor: o.Executor = None,
    executor_settings: o.ExecutorSettings = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Train the spiking network alone, and test it."""
    request = Request(data, preset, config, settings, seeds, epochs, device, skip_bad, as_published, without, quick)
    _run(
        "train",
        request,
        data_dir=data_dir,
        threads=threads,
        out=out,
        as_json=as_json,
        quiet=quiet,
        thorough=thorough,
        track=track,
        executor=(executor, executor_settings),
    )


def config(  # noqa: PLR0913  # one parameter for each option
    data: o.Data = None,
    *,
    preset: o.Preset = None,
    config: o.Config = None,
    settings: o.Settings = None,
    seeds: o.Seeds = None,
    epochs: o.Epochs = None,
    quick: o.Quick = False,
    skip_bad: o.SkipBad = False,
    as_published: o.AsPublished = False,
    without: o.Without = None,
    with_: o.With = None,
    device: o.Device = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of all settings instead.")] = False,
    as_json: o.Json = False,
) -> None:
    """Print the experiment that `compare` would run with these options, as TOML for `--config`."""
    from spikewise.experiments import Experiment

    if schema:
        print_json(Experiment.model_json_schema())
        return
    experiment = asked_experiment(
        Request(data, preset, config, settings, seeds, epochs, device, skip_bad, as_published, without, quick, with_)
    )
    if as_json:
        print_json(experiment.model_dump(mode="json"))
        return
    import tomli_w

    print(tomli_w.dumps(experiment.model_dump(mode="json", exclude_none=True)), end="")


def asked_experiment(request: Request) -> "Experiment":
    """The experiment that was asked for."""
    from spikewise.evaluation.sections import sections_without
    from spikewise.experiments import resolve
    from spikewise.experiments.controls import with_controls
    from spikewise.experiments.settings import Change

    skip = [Change("data.skip_bad", True, "--skip-bad")] if request.skip_bad else []
    left = sections_without(request.without or ())
    if request.without and not request.quick:  # a first look has none that could be left out
        said = " ".join(f"--without {name}" for name in request.without)
        skip.append(Change("sections", list(left), said))
    found = resolve(
        request.data,
        preset=request.preset,
        config=request.config,
        overrides=[*skip, *(request.settings or [])],
        seeds=request.seeds,
        epochs=request.epochs,
        device=request.device,
        as_published=request.as_published,
        quick=request.quick,
    )
    return with_controls(found, request.controls or ())


def _run(  # noqa: PLR0913  # passed on from the command
    kind: Literal["compare", "train"],
    request: Request,
    *,
    data_dir: Path | None,
    threads: int | None,
    out: Path,
    as_json: bool,
    quiet: bool,
    thorough: bool,
    track: str | None,
    executor: tuple[str | None, list[str] | None],
) -> None:
    from spikewise.api import share
    from spikewise.cli.machine import use_threads
    from spikewise.errors import ConfigError
    from spikewise.experiments.spread import asked_executor

    use_threads(threads)
    experiment = asked_experiment(request)
    if thorough and not experiment.sections:
        raise ConfigError(
            "--thorough makes every section whole, and none is asked for (--quick has none): give one of both."
        )
    if request.quick:
        experiment = experiment.replace(whole=request.whole(kind, out=out, data_dir=data_dir))
    done = share(
        experiment,
        kind=kind,
        out=out,
        progress=not quiet,
        data_dir=data_dir,
        thorough=thorough,
        track=track,
        executor=asked_executor(executor[0], executor[1] or ()),
    )
    if done is None:  # another process shows it
        return
    if as_json:
        print_json(done.results.model_dump(mode="json"))
    else:
        print_run(done)


def print_run(done: "Run") -> None:
    """A screen: the answer, what to do next, the figures, and a line for each detail with what shows more of it."""
    from spikewise.api import first_table, lines, tests

    header, *rows = first_table(done.results)
    print()
    print_text(done.results.verdict.headline, style="bold")
    if done.results.verdict.remedy:
        print_text(f"To try: {done.results.verdict.remedy}")
    elif done.results.protocol.whole:
        print_text(f"More than a first look: {done.results.protocol.whole}")
    print()
    print_rows(header, rows)
    for names, *pairs in [tests(done.results)] if done.results.comparisons else []:
        print()
        print_rows(names, pairs, right=[1, 3])
    print()
    details = lines(done.results)
    for line in details:
        if not line.more:
            print_text(line.text)
    print_rows(["", ""], [list(line) for line in details if line.more])
    print()
    print_places([("RUN", done.folder), ("report", done.report)])
