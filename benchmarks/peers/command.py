"""The command: which parts to measure, what is kept between calls, and what is printed."""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers.epochs import epochs
from benchmarks.peers.measure import Settings, measure
from benchmarks.peers.scaling import AXES, scaling
from benchmarks.peers.tables import as_text, document, document_ratios
from benchmarks.peers.workloads import WORKLOADS
from spikewise.engine.native import isa

__all__ = ["main"]

_STORE = Path("build/benchmarks/peers.json")
_PARTS = (*WORKLOADS, "epochs", *AXES)
_HELD = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    # What was compiled for AVX-512 is found under the same name, and gives wrong numbers (torch 2.13).
    "TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir()) / "torchinductor-avx2"),
}
"""Variables by which PyTorch (with what it compiles), oneDNN and MKL leave AVX-512 alone."""


def main(arguments: Sequence[str] = ()) -> None:
    """Measure what the stored results lack, print the tables, and write the page if asked."""
    options = _options(arguments)
    if os.environ.get("SPIKEWISE_ISA") == "avx2":  # then nobody has more
        os.environ.update(_HELD)
    unknown = set(options.workload) - set(_PARTS)
    if unknown:
        sys.exit(f"Unknown workload: {', '.join(sorted(unknown))}. Available: {', '.join(_PARTS)}.")
    store = options.out or (_STORE.with_stem("peers-quick") if options.quick else _STORE)
    found: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
    if not options.document:
        for part in options.workload:
            if options.again or "error" in found.get(part, {"error": ""}):
                found[part] = _measured(part, options)
                store.parent.mkdir(parents=True, exist_ok=True)
                store.write_text(json.dumps(found, indent=1) + "\n")
            print(as_text(part, found[part]), flush=True)
    elif options.ratios:
        document_ratios(found)
    else:
        document(found)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers", description=__doc__)
    parser.add_argument(
        "--workload", type=lambda text: text.split(","), default=list(_PARTS), help=f"some of {','.join(_PARTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="one round of small batches: does everything work?")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help=f"where results are kept (JSON); default {_STORE}")
    parser.add_argument("--again", action="store_true", help="measure parts that are in the file already")
    parser.add_argument("--document", action="store_true", help="measure nothing; write docs/performance.md")
    parser.add_argument(
        "--ratios", action="store_true", help="with --document: only the table of ratios on these instructions"
    )
    return parser.parse_args(list(arguments))


def _measured(part: str, options: argparse.Namespace) -> dict[str, Any]:
    settings = Settings(options.threads, options.quick)
    works: dict[str, Callable[[], dict[str, Any]]] = {
        "epochs": lambda: epochs(settings),
        **{axis: lambda axis=axis: scaling(axis, settings) for axis in AXES},
    }
    before = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = works.get(part, lambda: measure(part, settings))()
    where = {
        "command": shlex.join(["python", "-m", "benchmarks", "peers", "--workload", part])
        + (" --quick" if options.quick else ""),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "instructions": isa(),
        "peers_held_to": "AVX2" if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2" else None,
        "threads": options.threads,
        "load_before": before,
        "versions": _versions(),
    }
    return {**found, "where": where}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("spikewise", "torch", "snntorch", "spikingjelly", "norse", "sinabs"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "a checkout" if name == "spikewise" else "not installed"
    return found
