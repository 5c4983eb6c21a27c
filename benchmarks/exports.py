"""`python -m benchmarks.exports OUT [PRESET ...]`: every preset in every export format, with the check of each.

A preset is trained for one epoch on a part of its images (what is compared is two programs that run one network, not
how well it was trained), exported in each format, and a table tells decisions, spikes, size and time, or which layer
the format refuses. Sets are found in the folder that `SPIKEWISE_DATA` names. Runs are kept in OUT; a call that was
stopped goes on.

    --formats A,B     nir,onnx,c,c-int8,snntorch,html
    --limit N         images that are split, trained on and tested on (3000)
    --images N        test images of each check (1000)
    --stand-in A=B    a set of the same shape and classes for one that is not there (emnist-digits=mnist)
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from spikewise.api import export
from spikewise.errors import SpikewiseError
from spikewise.evaluation import units
from spikewise.experiments import preset_names, resolve, run_experiment
from spikewise.interop import ExportCheck

HEADER = (
    "| preset | format | decisions equal | spikes differing, of a million | accuracy here, there | size | one image |"
)


def rows(preset: str, given: argparse.Namespace) -> Iterator[str]:
    """A row for each format."""
    overrides = [f"split.limit={given.limit}", "train.learning_rate=0.001"]
    source, _, instead = given.stand_in.partition("=")
    if resolve(preset=preset).data.source == source:
        overrides.append(f"data.source={instead}")
    experiment = resolve(preset=preset, overrides=overrides, seeds=1, epochs=1, device="cpu")
    experiment = experiment.replace(sections=())
    run = run_experiment(experiment, out=given.out / "runs", kind="train")
    name = run.results.networks[0].name
    for asked in given.formats:
        to, _, numbers = asked.partition("-")
        try:
            made = export(
                run.folder,
                to,
                network=name,
                numbers="int8" if numbers == "int8" else "float32",
                images=given.images,
                out=given.out / "exports" / f"{preset}-{asked}",
            )
            yield f"| `{preset}` | {asked} | {_figures(made.check)} |"
        except SpikewiseError as error:
            yield f"| `{preset}` | {asked} | refused: {error} | | | | |"


def _figures(check: ExportCheck) -> str:
    main = next(one for one in check.files if one.name == check.main)
    accuracies = f"{100 * check.accuracy_here.value:.1f} %, {100 * check.accuracy_there.value:.1f} %"
    own = "" if check.agreeing is None else f" (of the network's {check.agreeing:,})"
    return (
        f"{check.judged.equal_decisions:,} of {check.images:,}{own} | {check.judged.per_million:.3g} | {accuracies} | "
        f"{units.bytes_of(main.bytes)} | {check.milliseconds_there:.2f} ms{'' if check.passed else ' (failed)'}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="all of them")
    parser.add_argument(
        "--formats", type=lambda text: text.split(","), default=["nir", "onnx", "c", "c-int8", "snntorch", "html"]
    )
    parser.add_argument("--limit", type=int, default=3000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--stand-in", default="", metavar="A=B")
    given = parser.parse_args()
    unknown = set(given.presets) - set(preset_names())
    if unknown:
        parser.error(f"unknown presets: {', '.join(sorted(unknown))}")
    return given


def _main() -> None:
    given = _arguments()
    print(f"{HEADER}\n|{'---|' * 7}", flush=True)
    for preset in given.presets or preset_names():
        try:
            for row in rows(preset, given):
                print(row, flush=True)
        except SpikewiseError as error:
            print(f"| `{preset}` | | not run: {error} | | | | |", flush=True)


if __name__ == "__main__":
    _main()
