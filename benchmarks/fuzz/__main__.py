"""`python -m benchmarks.fuzz [KIND ...] --seed S --count N`: mutated inputs, and whether each was answered in words.

Failures are printed with what gives them again, and kept in `build/fuzz/KIND.jsonl`; `--replay` runs those alone.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # a process with threads cannot be forked safely; before anything is imported

from benchmarks.fuzz import kinds  # noqa: E402
from benchmarks.fuzz.harness import OUTCOMES, Limits, Outcome, outcomes  # noqa: E402


def main() -> int:
    """0 if every case was answered, 1 if not."""
    asked = _asked()
    limits = Limits(asked.seconds, asked.memory_mib)
    failures = [one for name in asked.kinds or kinds.names() for one in _fuzz(name, asked, limits)]
    return 1 if failures else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"all by default: {', '.join(kinds.names())}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000, help="cases of each kind")
    parser.add_argument("--seconds", type=float, default=Limits().seconds, help="time a case may take")
    parser.add_argument("--memory-mib", type=int, default=Limits().memory_mib, help="memory a case may take")
    parser.add_argument("--at", type=int, nargs="*", default=[], metavar="NUMBER", help="these cases alone")
    parser.add_argument("--replay", action="store_true", help="the cases in build/fuzz/KIND.jsonl alone")
    parser.add_argument("--kept", type=Path, default=Path("build/fuzz"), help="where failures are kept")
    asked = parser.parse_args()
    if unknown := set(asked.kinds) - set(kinds.names()):
        parser.error(f"unknown kind: {', '.join(sorted(unknown))}; there are {', '.join(kinds.names())}")
    return asked


def _fuzz(name: str, asked: argparse.Namespace, limits: Limits) -> list[Outcome]:
    file, started = asked.kept / f"{name}.jsonl", time.monotonic()
    seed, count, only = asked.seed, asked.count, frozenset(asked.at)
    if asked.replay:
        kept = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        if not kept:
            print(f"{name}: no failure is kept in {file}")
            return []
        seed, count, only = kept[0]["seed"], kept[0]["count"], frozenset(one["number"] for one in kept)
    elif only:
        count = max(count, max(only) + 1)
    totals, failures, again = Counter[str](), list[Outcome](), 0
    for one in outcomes(kinds.kind(name), seed=seed, count=count, limits=limits, only=only):
        totals[one.outcome] += 1
        again += one.again
        if one.outcome == "failure":
            failures.append(one)
            print(f"{name} --seed {seed} --count {count} --at {one.number}  [{one.name}]  {one.text[:300]}", flush=True)
            if asked.at and one.detail:
                print(one.detail)
    if not asked.at:
        _keep(file, failures, seed, count)
    ways = Counter(one.text[:90] for one in failures)
    for text, times in ways.most_common(15):
        print(f"  {times:5} x {text!r}")
    found = ", ".join(f"{totals[outcome]:,} {outcome}s" for outcome in OUTCOMES)
    alone = f" ({again:,} run again, in a process of their own)" if again else ""
    print(
        f"{name}: {sum(totals.values()):,} cases of seed {seed}: {found}{alone}; {time.monotonic() - started:.0f} s",
        flush=True,
    )
    return failures


def _keep(file: Path, failures: list[Outcome], seed: int, count: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"seed": seed, "count": count, **one._asdict()}) for one in failures]
    file.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
