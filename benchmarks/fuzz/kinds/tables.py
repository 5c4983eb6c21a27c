"""Folders of images with tables of labels: every dialect, damaged bytes, rows and columns that do not fit."""

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.fuzz.mutate import Rng, damaged, hostile_text
from spikewise.data import ImageSet, SplitConfig, load_data, split

_IMAGES = 24
_SOUND = ("image_id,dx,patient_id", "file_name,label", "Image Path,Class,Split", "id,target,person,set", "name,y",
          "image,MEL,NV", "file_name,MEL,NV,part")  # fmt: skip
_HEADERS = (
    *_SOUND * 4,
    *("a,b,c", "image,image,label", "file,label,class", "file,class,subject,part", "label", "\u65e5,\u00fc,\U0001f600"),
)
_OPTIONS: tuple[dict[str, Any], ...] = (
    *(
        {},
        {},
        {},
        {},
        {},
        {"labels": "t.csv"},
        {"labels": "t.csv"},
        {"labels": "t.csv", "skip_bad": True},
        {"skip_bad": True},
        {"read_subjects": False},
    ),
    *({"columns": "class=MEL|NV"}, {"labels": "t.csv,test.csv"}, {"labels": "t.csv,t.csv"}),
    *({"labels": "t.csv", "columns": "file=a,class=b"}, {"columns": {"class": "c"}}, {"roles": False}),
    *({"labels": "t.csv", "group_pattern": r"(\d)"}, {"levels": "class"}, {"labels": "nowhere.csv"}),
)


class Tables(NamedTuple):
    """A table, and how the folder around it is read."""

    name: str
    content: bytes
    options: dict[str, Any]
    deep: bool
    """Whether images lie in a folder of their own."""
    file: str
    """Name of the table: `.csv`, or `.jsonl` for JSON lines."""
    beside: bool
    """Whether another table lies there, of another part."""


def cases(seed: int, count: int) -> Iterator[Tables]:
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        lines = rng.random() < 0.25
        what, content = _sound(rng, lines=lines)
        for _ in range(int(rng.choice([0, 0, 1, 1, 2]))):
            done, content = damaged(content, rng)
            what = f"{what}, {done}"
        options, file = dict(_pick(rng, _OPTIONS)), f"{_pick(rng, ['t', 't', 'train'])}.{'jsonl' if lines else 'csv'}"
        if "labels" in options:
            options["labels"] = options["labels"].replace("t.csv", file, 1)
        yield Tables(what, content, options, bool(rng.integers(2)), file, bool(rng.random() < 0.3))


def run(case: Tables) -> object:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        inside = root / "images" if case.deep else root
        inside.mkdir(parents=True)
        for number in range(_IMAGES):
            pixels = np.full((4, 4), 255, np.uint8)
            pixels[0] = number * 8
            Image.fromarray(pixels).save(inside / f"im{number}.png")
        (root / case.file).write_bytes(case.content)
        if case.beside:
            (root / "test.csv").write_text("image_id,dx\nim0,cat\nim1,dog\n")
        found = load_data(root, cache_dir=Path(folder) / "cache", **case.options)
        _agree(found)
        return split(found, SplitConfig(published=len(case.content) % 2 == 0))


def _agree(found: ImageSet) -> None:
    """What must hold of every set that was read."""
    assert found.sources is not None
    assert len(set(found.sources)) == len(found.sources) == len(found.labels), "an image stands twice"
    assert len(set(found.classes)) == len(found.classes) >= 2, "two classes of one name"
    assert all(one.isprintable() and one.strip() for one in found.classes), "a class that cannot be shown"
    for text in (*found.notes, *found.from_names, *found.classes):
        text.encode()


def _sound(rng: Rng, *, lines: bool) -> tuple[str, bytes]:
    """A table that may be read, or lacks something.

    Args:
        lines: Whether it is written as JSON lines.
    """
    header = str(_pick(rng, _HEADERS)).split(",")
    delimiter, encoding = str(rng.choice([*",;\t|"])), str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    rows = [
        [_cell(rng, column, number) for column in header]
        for number in range(
            int(rng.choice([0, 1, 20, 24, 24, 24, 24, 30], p=[0.02, 0.03, 0.2, 0.15, 0.15, 0.15, 0.2, 0.1]))
        )
    ]
    if rows and rng.random() < 0.2:
        row = rows[int(rng.integers(len(rows)))]
        row[int(rng.integers(len(row)))] = hostile_text(rng)
    if lines:
        objects = [json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=bool(rng.integers(2))) for row in rows]
        return f"{','.join(header)} as JSON lines", "\n".join(objects).encode("utf-8", "replace")
    out = io.StringIO()
    ending = str(rng.choice(["\n", "\r\n", "\r"]))
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_MINIMAL, escapechar="\\")
    writer.writerows([header, *rows])
    return f"{','.join(header)} in {encoding} by {delimiter!r}", out.getvalue().encode(encoding, "replace")


def _cell(rng: Rng, column: str, number: int) -> str:
    match column.casefold():
        case "label" | "class" | "dx" | "target" | "y" | "b":
            return str(rng.choice(["cat", "dog", "3.0", "0.5", "a|b", " cat ", "gr\u00fcn", ""], p=_LIKELY))
        case "split" | "part" | "set":
            return str(rng.choice(["train", "test", "val", "arm"], p=[0.5, 0.25, 0.248, 0.002]))
        case "patient_id" | "person" | "subject":
            return f"P{number // 3}"
        case "mel" | "nv":
            one = (column == "MEL") == (number % 2 == 0)
            return str(rng.choice(["1.0" if one else "0.0", "1.0", "", "2"], p=[0.994, *[0.002] * 3]))
        case _:
            return f"im{number}" + str(rng.choice(["", ".png"]) if rng.random() < 0.002 else "")


_LIKELY = [0.494, 0.494, *[0.002] * 6]


def _pick(rng: Rng, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]
