"""Numbers as the text that a page holds them in: Huffman codes of what repeats, and seven bits in each character."""

import heapq
import re
from collections import Counter
from itertools import count
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

__all__ = ["Numbers"]

Json = dict[str, Any]
_FORBIDDEN: Final = b"\0\r<"
"""What HTML changes, or takes for the end of a script: such a character and the next go into one beyond ASCII."""
_ZERO: Final = 2**15
"""The symbol of level 0."""


class Numbers:
    """Arrays one behind the other. Each is found again by what was returned when it was put there.

    An array is a canonical Huffman code (the longest length as a byte, how many symbols have each length, the symbols;
    16 bits each, least significant byte first) and its bits, most significant first, filled up to whole bytes. Floats
    have their exponents in it; sign and mantissa, which no code makes shorter, follow as three bytes each.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()

    def copy(self) -> "Numbers":
        """The same, to which other arrays can be put."""
        made = Numbers()
        made._bytes += self._bytes
        return made

    def floats(self, values: Tensor, step: float | None = None) -> Json:
        """Floats of 32 bits, each kept as it is.

        Args:
            values: Of any shape.
            step: All are multiples of it, below 32,768 times as large: kept as whole numbers.
        """
        flat = values.detach().to("cpu", torch.float32).flatten().numpy()
        if step is not None:
            levels = np.rint(flat.astype(np.float64) / step).astype(np.int64)
            return {**self._coded(levels + _ZERO), "step": step}
        bits = flat.view(np.uint32)
        found = self._coded((bits >> 23 & 0xFF).astype(np.int64))
        rest = (bits & 0x7FFFFF | bits >> 31 << 23).astype("<u4")
        self._bytes += np.ascontiguousarray(rest.view(np.uint8).reshape(-1, 4)[:, :3]).tobytes()
        return {**found, "exact": True}

    def bytes(self, values: UInt8[np.ndarray, "..."]) -> Json:
        """Whole numbers from 0 to 255."""
        return self._coded(values.flatten().astype(np.int64))

    def text(self) -> str:
        """All of them, as characters that a script element of a page in UTF-8 may hold."""
        bits = np.unpackbits(np.frombuffer(bytes(self._bytes), np.uint8))
        bits = np.concatenate([bits, np.ones(-len(bits) % 7 + 7, np.uint8)])  # the last one has a next one
        sevens = np.packbits(bits.reshape(-1, 7), axis=1)[:, 0] >> 1
        pair = re.compile(b"[" + re.escape(_FORBIDDEN) + b"]([\\x00-\\x7f])")
        return _joined(pair, sevens.astype(np.uint8).tobytes())

    def _coded(self, symbols: Int64[np.ndarray, " n"]) -> Json:
        at = len(self._bytes)
        kinds, places, counts = np.unique(symbols, return_inverse=True, return_counts=True)
        lengths = _lengths(counts.tolist())
        order = np.lexsort((kinds, lengths))
        most = int(lengths.max(initial=0))
        self._bytes += bytes([most])
        self._bytes += np.bincount(lengths, minlength=most + 1)[1:].astype("<u2").tobytes()
        self._bytes += kinds[order].astype("<u2").tobytes()
        codes = _canonical(lengths, order)
        self._bytes += _bits(codes[places], lengths[places])
        return {"at": at, "count": len(symbols)}


def _lengths(counts: list[int]) -> Int64[np.ndarray, " k"]:
    """Of the codes of a Huffman tree."""
    if len(counts) < 2:
        return np.ones(len(counts), np.int64)
    number = count()
    heap = [(many, next(number), [place]) for place, many in enumerate(counts)]
    heapq.heapify(heap)
    found = Counter[int]()
    while len(heap) > 1:
        (few, _, left), (more, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        found.update(left)
        found.update(right)
        heapq.heappush(heap, (few + more, next(number), left + right))
    return np.array([found[place] for place in range(len(counts))], np.int64)


def _canonical(lengths: Int64[np.ndarray, " k"], order: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, " k"]:
    """Codes that follow from their lengths alone: ascending, the short ones first."""
    codes = np.zeros(len(lengths), np.int64)
    code = length = 0
    for place in order:
        code <<= int(lengths[place]) - length
        length = int(lengths[place])
        codes[place] = code
        code += 1
    return codes


def _bits(codes: Int64[np.ndarray, " n"], lengths: Int64[np.ndarray, " n"]) -> bytes:
    """Codes one behind the other."""
    ends = np.cumsum(lengths)
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for bit in range(int(lengths.max(initial=0))):
        has = lengths > bit
        out[ends[has] - 1 - bit] = codes[has] >> bit & 1
    return np.packbits(out).tobytes()


def _joined(pair: "re.Pattern[bytes]", sevens: bytes) -> str:
    parts, last = [], 0
    for found in pair.finditer(sevens):
        parts.append(sevens[last : found.start()].decode("ascii"))
        which, following = _FORBIDDEN.index(sevens[found.start()]), found[1][0]
        parts.append(chr(128 + (which << 7 | following)))
        last = found.end()
    return "".join([*parts, sevens[last:].decode("ascii")])
