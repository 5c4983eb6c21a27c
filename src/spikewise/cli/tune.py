"""`tune`: the same number of trials for every side, judged on validation images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_places, print_rows, print_text

if TYPE_CHECKING:
    from spikewise.experiments.tune import Tuned

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Train and compare")(tune)


def tune(  # noqa: PLR0913  # one parameter for each option
    data: o.Data = None,
    *,
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", min=1, help="Trainings of each side; trial 0 is as given.")
    ] = 10,
    preset: o.Preset = None,
    config: o.Config = None,
    settings: o.Settings = None,
    epochs: o.Epochs = None,
    skip_bad: o.SkipBad = False,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    threads: o.Threads = None,
    executor: o.Executor = None,
    executor_settings: o.ExecutorSettings = None,
    out: o.Out = Path("runs"),
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Tune every side equally hard: N random trials each, judged on validation images; the test set stays closed.

    Writes one TOML file per side with its best settings. A killed search goes on where it stopped.
    """
    from spikewise.cli.machine import use_threads
    from spikewise.cli.run import asked_experiment
    from spikewise.experiments.spread import asked_executor
    from spikewise.experiments.tune import tune as search
    from spikewise.training.progress import Plan, display

    use_threads(threads)
    experiment = asked_experiment(o.Request(data, preset, config, settings, None, epochs, device, skip_bad))
    what = asked_executor(executor, executor_settings or ())
    if quiet:
        found = search(experiment, trials=trials, out=out, data_dir=data_dir, executor=what)
    else:
        names = tuple(f"{side}, trial {number}" for side in experiment.sides for number in range(trials))
        with display(Plan(names, experiment.seeds[:1]), f"tune on {experiment.data.source}") as shown:
            found = search(
                experiment,
                trials=trials,
                out=out,
                data_dir=data_dir,
                listener=shown,
                decoding=shown.work,
                executor=what,
            )
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)


def _print(found: "Tuned") -> None:
    from spikewise.report.numbers import in_sentence, metric_label, metric_value

    rows = []
    for one in found.sides:
        chosen = ", ".join(f"{key}={value:g}" for key, value in one.best.settings.items()) or "as given"
        scores = [metric_value(found.monitor, trial.score) for trial in (one.trials[0], one.best)]
        failed = sum(trial.score is None for trial in one.trials)
        rows.append([one.kind, str(len(one.trials)), str(failed), *scores, chosen])
    print()
    print_rows(["side", "trials", "failed", "as given", "best", "settings of the best"], rows, right=[1, 2, 3, 4])
    print()
    print_text(
        f"Judged by {in_sentence(metric_label(found.monitor))} on validation images; no test image was looked at."
    )
    print_places([(one.kind, one.file) for one in found.sides])


def _as_json(found: "Tuned") -> dict[str, object]:
    sides = {
        one.kind: {
            "file": str(one.file),
            "best": one.best._asdict(),
            "trials": [trial._asdict() for trial in one.trials],
        }
        for one in found.sides
    }
    return {"folder": str(found.folder), "monitor": found.monitor, "sides": sides}
