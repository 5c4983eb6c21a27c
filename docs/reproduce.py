"""Fold finished runs of presets into the figures that `spikewise presets` and docs/presets.md show.

python docs/reproduce.py [--stand-in IMAGES] RUN ...
"""

import argparse
import sys
from pathlib import Path

from spikewise.errors import SpikewiseError
from spikewise.experiments.reproduction import fold, reproductions
from spikewise.files import write_json

FILE = Path(__file__).parent.parent / "src" / "spikewise" / "experiments" / "presets" / "reproduced.json"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--stand-in", default="", metavar="IMAGES", help="what stood in for the preset's own images")
    asked = parser.parse_args()
    try:
        records = fold(asked.runs, reproductions(), stand_in=asked.stand_in)
    except SpikewiseError as error:
        sys.exit(f"Error: {error}")
    write_json(FILE, [one.model_dump(mode="json") for one in records])
    for one in records:
        print(one.command, file=sys.stderr)
