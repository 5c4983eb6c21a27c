"""Folders of image files: layouts, names of classes and files in every script and in none, links, pipes, clutter."""

import io
import json
import os
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.fuzz.mutate import Rng
from spikewise.cli.images import named_sources
from spikewise.data import ImageSet, SplitConfig, load_data, part_overlap, split
from spikewise.data.classes import match_classes
from spikewise.data.names import as_path, shown

_WORDS = (
    *("cat", "Cat", "CAT", "cats", "cat ", " cat", "dog", "0", "1", "10", "-1", "A", "a", "normal", "abnormal"),
    *(
        "train",
        "test",
        "val",
        "Train",
        "License",
        "readme.txt",
        "lost+found",
        "__MACOSX",
        ".git",
        ".22 LR",
        "tiles.png",
    ),
    *(
        "gr\u00fcn",
        "gru\u0308n",
        "\u65e5\u672c\u8a9e",
        "\U0001f600",
        "\ufb01g",
        "fig",
        "x\u00b2",
        "x2",
        "\u0410",
        "...",
        "~",
        "$HOME",
    ),
    *(
        "--x",
        "a\nb",
        "a\tb",
        "<b>",
        'q"uote',
        "per%cent",
        "{0}",
        "caf\udce9",
        "\udcff\udcfe",
        "k" * 250,
        "\u202egnp",
        "raw",
    ),
)
_IMAGES = (
    *("{k}.png", "img {k}.PNG", "person{k}_{n}.png", "patient{n}_{k}.png", "IM-000{n}-{k:04d}.png", "sub-{n}_{k}.png"),
    *("{k}.jfif", "{k}\udce9.png", "{k}.png.png", "person{k}_virus_{n}.png", "a\n{k}.png", "{k:0200d}.png"),
)
_CLUTTER = (
    *("._{k}.png", ".{k}.png", "{k}.txt", "{k}", "{k}__M_Left_index_finger.png", "train-images-idx3-ubyte"),
    *("{k}.npz", "Thumbs.db", "readme.txt"),
)
_OPTIONS: tuple[dict[str, Any], ...] = (
    *({}, {}, {}, {}, {}, {}, {"roles": False}, {"read_subjects": False}, {"positive": "cat"}, {"positive": "normal"}),
    *({"group_pattern": r"(\d+)"}, {"subjects": 2}, {"skip_bad": True}, {"skip_bad": True}, {"grey": True}),
    *({"levels": "class"}, {"levels": "class/**"}, {"levels": "class/subject"}, {"levels": "part/class"}),
)
_LINKS = ("..", ".", "nowhere.png", "/dev/null", "/dev/zero")


class Folders(NamedTuple):
    """What lies in a folder, and how it is read."""

    name: str
    files: tuple[tuple[str, str, int], ...]
    """Path, what lies there (image, text, empty, folder, pipe or link), and a number for its pixels."""
    options: dict[str, Any]
    other: tuple[str, ...]
    """Class names of another set, which are looked for among these."""


def cases(seed: int, count: int) -> Iterator[Folders]:
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        layout = _LAYOUTS[number % len(_LAYOUTS)]
        files = list(layout(rng))
        for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
            files.append(_odd(rng, files))
        other = tuple(_word(rng) for _ in range(3))
        yield Folders(layout.__name__.strip("_"), tuple(files), dict(_pick(rng, _OPTIONS)), other)


def run(case: Folders) -> object:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        root.mkdir()
        _make(root, case.files)
        found = load_data(root, cache_dir=Path(folder) / "cache", **({"size": 4} | case.options))
        _agree(root, found, case)
        return split(found, SplitConfig(published=len(case.files) % 2 == 0))


def _agree(root: Path, found: ImageSet, case: Folders) -> None:
    """What must hold of every set that was read."""
    assert len(set(found.classes)) == len(found.classes), "two classes of one name"
    assert found.sources is not None
    told = (found.name, *found.classes, *found.notes, *found.from_names, *map(shown, found.sources))
    for text in told:
        text.encode()
        json.dumps(text)
    assert all("\n" not in name for name in found.classes), "a class takes two lines"
    for source in found.sources:
        assert as_path(shown(root / source)).samefile(root / source), "what is shown leads to another file"
    named = {shown(unicodedata.normalize("NFC", one)) for source in found.sources for one in Path(source).parts[:-1]}
    assert all(name in {part.strip() or part for part in named} for name in found.classes), "a class nobody named"
    assert match_classes(found.classes, found.classes) == {name: k for k, name in enumerate(found.classes)}
    matched = match_classes(case.other, found.classes)
    assert len(set(matched.values())) == len(matched), "two classes became one"
    part_overlap(found, split(found, SplitConfig(published=False)))
    named_sources([str(root)], io.BytesIO())


def _flat(rng: Rng) -> Iterator[tuple[str, str, int]]:
    yield from _classes(rng, "")


def _by_part(rng: Rng) -> Iterator[tuple[str, str, int]]:
    parts = rng.choice(["train", "test", "val", "Train", "valid", "testing", "other"], int(rng.integers(1, 4)))
    same = rng.random() < 0.8
    words = _some(rng)
    for part in dict.fromkeys(map(str, parts)):
        yield from _classes(rng, f"{part}/", words if same else None)


def _wrapped(rng: Rng) -> Iterator[tuple[str, str, int]]:
    prefix = "".join(f"{_word(rng)}/" for _ in range(int(rng.integers(1, 4))))
    yield from _classes(rng, prefix)


def _deep(rng: Rng) -> Iterator[tuple[str, str, int]]:
    for depth in rng.integers(0, 12, 6):
        yield "".join(f"{_word(rng)[:20]}/" for _ in range(int(depth))) + f"{depth}.png", "image", int(depth)


def _few(rng: Rng) -> Iterator[tuple[str, str, int]]:
    for number in range(int(rng.integers(4))):
        yield f"{_word(rng)}/{_file(rng, number)}", "image", number


_LAYOUTS = (_flat, _flat, _flat, _by_part, _by_part, _wrapped, _deep, _few)


def _classes(rng: Rng, prefix: str, words: list[str] | None = None) -> Iterator[tuple[str, str, int]]:
    pattern = _pick(rng, _IMAGES)
    alike = rng.random() < 0.05
    for label, word in enumerate(words or _some(rng)):
        for number in range(int(rng.integers(*((3, 9) if rng.random() < 0.9 else (1, 3))))):
            name = pattern if rng.random() < 0.97 else _pick(rng, _CLUTTER)
            file = name.format(k=number, n=number % 3)
            yield f"{prefix}{word}/{file}", "image", 0 if alike else 16 * label + number


def _odd(rng: Rng, files: list[tuple[str, str, int]]) -> tuple[str, str, int]:
    """Something that is no image, somewhere."""
    base = _pick(rng, files)[0] if files else "x/0.png"
    place = rng.choice([base.rpartition("/")[0], base, "", _word(rng)])
    name = _file(rng, 99) if rng.random() < 0.5 else _word(rng)
    what = str(rng.choice(["text", "empty", "folder", "pipe", "image", *(f"link {to}" for to in _LINKS)]))
    return f"{place}/{name}".lstrip("/"), what, 99


def _make(root: Path, files: tuple[tuple[str, str, int], ...]) -> None:
    """What the file system refuses is left out."""
    for path, what, number in files:
        where = root / path
        try:
            where.parent.mkdir(parents=True, exist_ok=True)
            if what == "folder":
                where.mkdir()
            elif what == "pipe":
                os.mkfifo(where)
            elif what.startswith("link "):
                where.symlink_to(what.removeprefix("link "))
            else:
                where.write_bytes({"image": _image(number), "text": b"hello", "empty": b""}[what])
        except (OSError, ValueError):
            continue


def _image(number: int) -> bytes:
    pixels = np.full((4, 4), 255, np.uint8)
    pixels[0] = number % 256
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def _some(rng: Rng) -> list[str]:
    return list(dict.fromkeys(_word(rng) for _ in range(int(rng.integers(1, 4) + 1))))


def _word(rng: Rng) -> str:
    if rng.random() < 0.1:
        return "".join(chr(int(letter)) for letter in rng.integers(1, 0xD7FF, 3)).replace("/", "-")
    return _pick(rng, _WORDS)


def _file(rng: Rng, number: int) -> str:
    return _pick(rng, _IMAGES if rng.random() < 0.7 else _CLUTTER).format(k=number, n=number % 3)


def _pick(rng: Rng, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]
