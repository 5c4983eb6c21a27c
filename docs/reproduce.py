"""Fold finished runs of presets into the figures that `spikewise presets` and docs/presets.md show.

python docs/reproduce.py RUN ...
"""

import sys
from pathlib import Path

from spikewise.errors import SpikewiseError
from spikewise.experiments.reproduction import fold, reproductions
from spikewise.files import write_json

FILE = Path(__file__).parent.parent / "src" / "spikewise" / "experiments" / "presets" / "reproduced.json"

if __name__ == "__main__":
    try:
        records = fold([Path(run) for run in sys.argv[1:]], reproductions())
    except SpikewiseError as error:
        sys.exit(f"Error: {error}")
    write_json(FILE, [one.model_dump(mode="json") for one in records])
    for one in records:
        print(one.command, file=sys.stderr)
