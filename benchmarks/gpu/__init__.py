"""The Triton engine on this GPU: parity first, then speed beside plain PyTorch and SpikingJelly, eager and captured.

`python -m benchmarks.gpu [SECTION ...]` (or `make bench ARGS=gpu`) takes less than four minutes; each section has a
bound of its own. Figures also go to `gpu.json` in the folder that OUT names (else here).
"""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["main"]


def _sections() -> dict[str, tuple[Callable[[float], Any], float]]:
    """Each section with its bound in seconds."""
    from benchmarks.gpu import latency, parity, products, profile, speed

    return {
        "parity": (parity.section, 90),
        "speed": (speed.section, 75),
        "latency": (latency.section, 15),
        "products": (products.section, 30),
        "profile": (profile.section, 15),
    }


def _warmed() -> list[subprocess.Popen[bytes]]:
    from benchmarks.gpu import warm

    return warm.started()


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()


def main(names: list[str] | None = None) -> None:
    if not torch.cuda.is_available():
        print("No GPU here: nothing to measure.")
        return
    known = _sections()
    chosen = names or list(known)
    unknown = set(chosen) - set(known)
    if unknown:
        sys.exit(f"Unknown section: {', '.join(sorted(unknown))}. Available: {', '.join(known)}.")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    print(found, flush=True)
    compiling = _warmed()
    for name in chosen:
        section, bound = known[name]
        if name != "parity":
            while compiling:  # nothing else runs on the GPU while something is timed
                _ended(compiling.pop())
        started = time.perf_counter()
        try:
            found[name] = section(started + bound)
        except Exception:  # a section that fails must not cost the others their turn
            found[name] = traceback.format_exc()
            print(found[name], flush=True)
        print(f"({name}: {time.perf_counter() - started:.0f} s)\n", flush=True)
        Path(os.environ.get("OUT", "."), "gpu.json").write_text(json.dumps(found, indent=1))
