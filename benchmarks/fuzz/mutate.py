"""Mutations that several kinds share: damaged bytes, and values that nobody expects."""

from typing import Any

import numpy as np

Rng = np.random.Generator


def damaged(content: bytes, rng: Rng) -> tuple[str, bytes]:
    """A file with something cut, changed, doubled or put in; and what was done."""
    data = bytearray(content)
    size = max(len(data), 1)
    at = int(rng.integers(size))
    end = min(size, at + int(10 ** rng.uniform(0, 2.5)))
    what = str(
        rng.choice(["cut", "flip", "zero", "remove", "double", "insert", "swap", "bits", "bytes", "line", "long"])
    )
    match what:
        case "cut":
            del data[at:]
        case "flip" if data:
            data[at] ^= 1 << int(rng.integers(8))
        case "bits":
            for place in rng.integers(0, size, 20):
                data[int(place) : int(place) + 1] = bytes([int(rng.integers(256))])
        case "zero":
            data[at:end] = bytes(end - at)
        case "bytes":
            data[at:end] = rng.bytes(end - at)
        case "remove":
            del data[at:end]
        case "double":
            data[end:end] = data[at:end]
        case "swap":
            other = int(rng.integers(size))
            data[at : at + 8], data[other : other + 8] = data[other : other + 8], data[at : at + 8]
        case "line":
            lines = bytes(data).split(b"\n")
            lines.insert(int(rng.integers(len(lines))), lines[int(rng.integers(len(lines)))])
            data = bytearray(b"\n".join(lines))
        case "long":
            data[at:at] = data[at:end] * int(10 ** rng.uniform(1, 3))
        case _:
            data[at:at] = _tokens(rng)
    return f"{what} at {at}", bytes(data)


def _tokens(rng: Rng) -> bytes:
    depth = int(10 ** rng.uniform(0, 5))
    found = [
        b"[" * depth,
        b"{" * depth,
        b'{"a":' * depth,
        b"[" * depth + b"]" * depth,
        b"a." * depth + b"b = 1\n",
        b"9" * depth,
        b'"',
        b"'''",
        b"\x00",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"NaN",
        b"-inf",
        b"1e999999",
        b"null",
        b"\\ud800",
        b"[[" + b"a." * min(depth, 3000) + b"b]]\n",
        b"[" + b"a." * min(depth, 3000) + b"b]\n",
    ]
    return found[rng.integers(len(found))]


def hostile_text(rng: Rng) -> str:
    """Text that nobody expects."""
    size = int(10 ** rng.uniform(0, 5))
    found = [
        "",
        " ",
        "\n",
        "\x00",
        "a\x00b",
        "\ud800",
        "\u202e",
        "." * size,
        "a." * size,
        "..",
        "x" * size,
        "日本" * min(size, 100),
        "😀",
        "none",
        "auto",
        "true",
        "nan",
        "=",
        "a=b",
        "../../etc/passwd",
        "/dev/zero",
        "{" * size,
        "[" * size,
        "9" * size,
        "-1",
        "1e400",
        "__class__",
        "kind",
        "(",
        "%s%n{0}{{}}",
        "'''",
        '"',
        "\\",
        "\x1b[31mred",
        "LIF",
        "lr",
        "size",
        "1_000",
        "0x10",
        "1979-05-27",
        "07:32:00",
    ]
    return found[rng.integers(len(found))]


def hostile(rng: Rng, *, python: bool = False) -> tuple[str, Any]:
    """A value that nobody expects, and what it is.

    Args:
        python: also such as no file can hold.
    """
    depth = int(10 ** rng.uniform(0, 4.5))
    makers: dict[str, Any] = {
        "text": lambda: hostile_text(rng),
        "small number": lambda: int(rng.integers(-3, 40)),
        "large number": lambda: int(2 ** rng.integers(8, 70)) * (1 if rng.random() < 0.7 else -1),
        "huge number": lambda: 10 ** int(rng.integers(20, 6000)),
        "float": lambda: float(rng.choice([0.0, -0.0, 1e-320, 1e308, -1.5, 0.5, 2.0])),
        "no number": lambda: float(rng.choice([float("nan"), float("inf"), -float("inf")])),
        "boolean": lambda: bool(rng.integers(2)),
        "empty": lambda: [[], {}, [[]], [{}], {"": 0}][rng.integers(5)],
        "list": lambda: [hostile(rng)[1] for _ in range(rng.integers(1, 4))],
        "long list": lambda: [1] * min(depth, 20000),
        "nested list": lambda: _deep_list(depth),
        "nested table": lambda: _deep_table(min(depth, 150)),
        "table": lambda: {hostile_text(rng): hostile(rng)[1]},
        "kind": lambda: {"kind": hostile(rng)[1]},
        "many kinds": lambda: {
            "kind": str(rng.choice(["lif", "alif", "conv", "mlp", "rate", "adam", "atan", "layers"]))
        },
    }
    if python:
        looped: dict[str, Any] = {}
        looped["a"] = looped
        cycle: list[Any] = []
        cycle.append(cycle)
        others = (
            None,
            b"bytes",
            {1, 2},
            object(),
            1j,
            np.zeros((2, 3)),
            np.float64("nan"),
            looped,
            cycle,
            {1: 2},
            print,
        )
        makers |= {"object": lambda: others[rng.integers(len(others))]}
        makers |= {
            "array": lambda: np.zeros(int(rng.integers(0, 9))).astype(str(rng.choice(["f4", "i8", "U3", "?", "O"])))
        }
    name = str(rng.choice(list(makers)))
    return name, makers[name]()


def _deep_list(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _deep_table(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        value = {"a": value}
    return value
