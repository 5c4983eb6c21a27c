"""Results as tables, on the terminal and between the markers of docs/performance.md."""

import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.candidates import OURS
from benchmarks.peers.figures import draw

__all__ = ["as_text", "document", "document_ratios"]

_PAGE = Path("docs/performance.md")
_WHAT = {"train": "training", "infer": "inference", "one": "one image"}
_NATIVE = OURS[0]


def as_text(part: str, found: dict[str, Any]) -> str:
    """One part's tables, with where and when they were measured."""
    if "error" in found:
        return f"\n**{part}** failed: {found['error']}\n"
    body = _scaling(part, found["series"]) if "series" in found else (_epochs if part == "epochs" else _workload)(found)
    return f"\n{body}\n\n{_where(found['where'])}\n"


def document(found: dict[str, Any]) -> None:
    """Write every measured part between its markers, and the figures of the scaling."""
    text = _PAGE.read_text(encoding="utf-8")
    for part, results in found.items():
        begin, end = f"<!-- begin {part} -->", f"<!-- end {part} -->"
        if begin in text:
            replaced = f"{begin}\n{as_text(part, results)}\n{end}"
            text = re.sub(f"{begin}.*?{end}", lambda _, new=replaced: new, text, flags=re.DOTALL)
            print(f"{_PAGE}: {part}")
    _PAGE.write_text(text, encoding="utf-8")
    axes = {part: results["series"] for part, results in found.items() if "series" in results}
    for path in draw(axes, Path("docs/images")):
        print(path)


def document_ratios(found: dict[str, Any]) -> None:
    """Write how many times the fastest peer's speeds ours are, for processors with other instructions than the tables'.

    Between the markers that these instructions have: `<!-- begin ratios avx2 -->`.
    """
    parts = {part: results for part, results in found.items() if "rows" in results}
    instructions = {results["where"]["instructions"] for results in parts.values()}
    if len(instructions) != 1:
        raise SystemExit(f"Results of one kind of instructions are asked for, found {sorted(instructions)}.")
    begin, end = (f"<!-- {word} ratios {next(iter(instructions))} -->" for word in ("begin", "end"))
    header = ["", *(f"{what}, native / fastest peer" for what in _WHAT.values()), "training memory", "equal outputs"]
    rows = [[f"{part}: {results['title']}", *_ratios(results["rows"])] for part, results in parts.items()]
    notes = "\n".join(f"- {part}: {_where(results['where'])}" for part, results in parts.items())
    text = _PAGE.read_text(encoding="utf-8")
    if begin not in text:
        raise SystemExit(f"{_PAGE} has no `{begin}`.")
    made = f"{begin}\n\n{_table(header, rows)}\n\n{notes}\n\n{end}"
    _PAGE.write_text(re.sub(f"{begin}.*?{end}", lambda _: made, text, flags=re.DOTALL), encoding="utf-8")


def _ratios(rows: dict[str, Any]) -> list[str]:
    parity = [row["parity"] for row in rows.values() if row.get("parity") is not None]
    return [*(_ratio(rows, what) for what in _WHAT), _memory(rows), f"{100 * (min(parity)):.1f} %" if parity else "–"]


def _workload(found: dict[str, Any]) -> str:
    header = ["", *(f"{what}, images/s" for what in _WHAT.values()), "training memory, MB", "equal outputs"]
    rows = [[name, *_cells(row)] for name, row in found["rows"].items()]
    ratios = [["**native / fastest peer**", *_ratios(found["rows"])[:-1], ""]]
    notes = [f"- {name}: {row['note']}." for name, row in found["rows"].items() if row.get("note")]
    notes += [f"- {name}: {row['error']}." for name, row in found["rows"].items() if "error" in row]
    rates = ", ".join(f"{layer} {rate:.2g}" for layer, rate in found["rates"].items())
    about = (
        f"**{found['title']}**, batch {found['batch']}; spikes per neuron and step: "
        f"input {found['density']:.2g}, {rates}. "
        f"Median of {found['rounds']} interleaved rounds (lowest to highest round)."
    )
    return "\n\n".join([about, _table(header, rows + ratios), *(["\n".join(notes)] if notes else [])])


def _cells(row: dict[str, Any]) -> list[str]:
    if "error" in row and "train" not in row:
        return ["see below", "", "", "", ""]
    memory = row.get("memory_mb")
    parity = row.get("parity")
    return [
        *(_spread(row.get(what), "{:,.0f}") for what in _WHAT),
        "–" if memory is None else f"{memory:,.0f}",
        "other equations" if parity is None else f"{100 * parity:.1f} %",
    ]


def _spread(values: Sequence[float] | None, form: str, unit: str = "") -> str:
    if not values:
        return "–"
    middle, low, high = (form.format(x) for x in (statistics.median(values), min(values), max(values)))
    return f"{middle}{unit}" if low == high else f"{middle}{unit} ({low} to {high})"


def _ratio(rows: dict[str, Any], what: str) -> str:
    """Our speed over that of the peer with the best median, round by round."""
    peers = {name: row[what] for name, row in rows.items() if name not in OURS and row.get(what)}
    ours = rows[_NATIVE].get(what)
    if not peers or not ours:
        return "–"
    name = max(peers, key=lambda peer: statistics.median(peers[peer]))
    spread = _spread([a / b for a, b in zip(ours, peers[name], strict=False)], "{:.1f}", "x")
    return f"**{spread}**, {name}"


def _memory(rows: dict[str, Any]) -> str:
    peers = {name: row["memory_mb"] for name, row in rows.items() if name not in OURS and row.get("memory_mb")}
    ours = rows[_NATIVE].get("memory_mb")
    if not peers or not ours:
        return "–"
    name = min(peers, key=lambda peer: peers[peer])
    return f"**{ours / peers[name]:.2f}x**, {name}"


def _epochs(found: dict[str, Any]) -> str:
    header = ["preset", "epoch, s", "engine forward", "engine backward", "optimizer", "all else"]
    rows = []
    for preset, runs in found["runs"].items():
        seconds = statistics.median(run["seconds"] for run in runs)
        parts = [statistics.median(run.get(key, 0.0) for run in runs) / seconds for key in _ENGINE]
        shares = [f"{100 * part:.1f} %" for part in (*parts, 1 - sum(parts))]
        rows.append([f"`{preset}`", _spread([run["seconds"] for run in runs], "{:.2f}"), *shares])
    first, second = ([run["seconds"] for run in runs] for runs in found["runs"].values())
    ratio = _spread([b / a for a, b in zip(first, second, strict=True)], "{:.1f}", "x")
    about = (
        f"One epoch of `spikewise train` on {found['images']:,} images, validation included. "
        f"The CNN's epoch takes {ratio} the spiking network's."
    )
    return f"{about}\n\n{_table(header, rows)}"


_ENGINE = ("engine_forward", "engine_backward", "optimizer")


def _scaling(axis: str, series: dict[str, Any]) -> str:
    names = [name for name in series if name != "values"]
    header = [axis, *(f"{name}, ms" for name in names), "loop / native", *(f"{name}, MB" for name in names)]
    rows = [
        [
            f"{value:g}",
            *(_number(series[name]["seconds"][at], 1000) for name in names),
            _times(series[names[-1]]["seconds"][at], series[names[0]]["seconds"][at]),
            *(_number(series[name]["mb"][at], 1) for name in names),
        ]
        for at, value in enumerate(series["values"])
    ]
    return _table(header, rows)


def _times(slow: float | None, fast: float | None) -> str:
    return f"**{slow / fast:.1f}x**" if slow and fast else "–"


def _number(value: float | None, scale: float) -> str:
    return "–" if value is None else f"{value * scale:,.1f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _where(where: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    load = "" if where["load_before"] is None else f", load average {where['load_before']:.2f} before"
    held = f", all held to {where['peers_held_to']}" if where.get("peers_held_to") else ""
    machine = f"{where['processor']}{held}, {where['threads']} threads{load}"
    return f"`{where['command']}`, {where['date']}, {machine}; {versions}."
