"""The engine's tests, on the GPU, in as many processes as there are cores."""

import importlib.util
import subprocess
import sys
import time

__all__ = ["section"]


def section(deadline: float) -> dict[str, object]:
    # What other plugins of this environment have to say is no failure of ours.
    quiet = ["-p", "no:cacheprovider", "-p", "no:benchmark", "-W", "default"]
    parallel = ["-n", "14"] if importlib.util.find_spec("xdist") else []
    command = [sys.executable, "-m", "pytest", "tests/engine/triton", "-q", *quiet, *parallel]
    try:
        done = subprocess.run(
            [*command, "-m", "not slow", "-rf", "--tb=line"], capture_output=True, text=True, check=False,
            timeout=deadline - time.perf_counter(),
        )  # fmt: skip
        out, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        out, code = (late.stdout or b"").decode(errors="replace"), 124
    print(out[-6000:])
    return {"code": code, "tail": out[-20_000:]}
