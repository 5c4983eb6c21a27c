"""Fold finished runs of presets into the figures that `spikewise presets` and docs/presets.md show.

python docs/reproduce.py [--stand-in IMAGES] RUN ...
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikewise.errors import SpikewiseError
from spikewise.experiments.reproduction import Reproduction, fold, reproductions
from spikewise.files import write_text

FILE = Path(__file__).parent.parent / "src" / "spikewise" / "experiments" / "presets" / "reproduced.json"



def lines(records: Sequence[Reproduction]) -> str:
    """One run a line, so that a change shows which; ten figures, so that what is shown rounds as it did."""
    rows = (json.dumps(_rounded(one.model_dump(mode="json", exclude_defaults=True))) for one in records)
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.10g}")
        case dict():
            return {key: _rounded(one) for key, one in value.items()}
        case list():
            return [_rounded(one) for one in value]
        case _:
            return value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--stand-in", default="", metavar="IMAGES", help="what stood in for the preset's own images")
    asked = parser.parse_args()
    try:
        records = fold(asked.runs, reproductions(), stand_in=asked.stand_in)
    except SpikewiseError as error:
        sys.exit(f"Error: {error}")
    write_text(FILE, lines(records))
    for one in records:
        print(one.command, file=sys.stderr)
