"""Findings on the images themselves, and on how the classes are spread."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Int64, UInt8
from scipy.stats import chi2_contingency

from spikewise.data.audit.look import PARTS, Look
from spikewise.data.audit.records import AuditFinding
from spikewise.data.audit.shrink import CHUNK
from spikewise.data.resize import tells_sizes

__all__ = ["health_findings"]

_BLANK = 8
"""Grey levels between the darkest and the brightest pixel, below which an image is blank."""
_LINES = 4
"""Lines at each edge that are looked at for a frame."""
_STEADY = 4.0
"""Standard deviation in grey levels of a line over all images and its length, below which it is a frame."""
_UNEQUAL, _MOVED = 3.0, 0.1
_SURE = 1e-3


def health_findings(look: Look, damaged: tuple[str, ...] = ()) -> Iterator[AuditFinding]:
    """Damaged and blank images, frames, mixed sizes; class balance and whether the parts share it.

    Args:
        damaged: Files that could not be decoded and are not in the set.
    """
    if damaged:
        yield AuditFinding(
            check="damaged-files",
            severity="amber",
            title=f"{len(damaged):,} file{'s' * (len(damaged) != 1)} cannot be decoded: truncated, empty or no image",
            effect="They are left out; if they are more frequent in one class, the rest is no fair sample.",
            remedy="Fetch the damaged files again or remove them; other commands refuse the set without --skip-bad.",
            count=len(damaged),
            files=damaged[:1000],
        )
    yield from _range(look)
    yield from _blank(look)
    yield from _frame(look)
    yield from _sizes(look)
    yield from _balance(look)
    yield from _moved(look)


def _range(look: Look) -> Iterator[AuditFinding]:
    for caution in look.images.cautions:
        if tells_sizes(caution):  # a finding of its own
            continue
        yield AuditFinding(
            check="pixel-range",
            severity="amber",
            title=caution.rstrip("."),
            effect="If it is wrong, every picture is too dark or too bright, and so is the spike count and its energy.",
            remedy="Look at some images (`spikewise data show`), and set data.white or data.background.",
        )


def _blank(look: Look) -> Iterator[AuditFinding]:
    pixels = look.images.images
    spread = np.concatenate([_spread(pixels[at : at + CHUNK]) for at in range(0, len(pixels), CHUNK)])
    blank = np.flatnonzero(spread < _BLANK)
    if len(blank):
        classes = Counter(look.images.classes[label] for label in look.labels[blank].tolist())
        listed = ", ".join(f"{name} {count:,}" for name, count in classes.most_common(5))
        yield AuditFinding(
            check="blank-images",
            severity="amber",
            title=f"{len(blank):,} {'image is' if len(blank) == 1 else 'images are'} blank, or nearly ({listed})",
            effect="They show nothing; where they belong to one class, blankness tells it.",
            remedy="Look at the blank images, and remove them unless nothing is what they are meant to show.",
            count=len(blank),
            groups=look.places(blank[:, None]),
        )


def _spread(images: UInt8[np.ndarray, "N C H W"]) -> Int64[np.ndarray, " N"]:
    flat = images.reshape(len(images), -1)
    return np.asarray(flat.max(axis=1).astype(np.int64) - flat.min(axis=1))


def _frame(look: Look) -> Iterator[AuditFinding]:
    pixels = look.images.images
    some = np.asarray(pixels[np.linspace(0, len(pixels) - 1, min(len(pixels), 2000)).astype(np.int64)])
    edges = {
        "top": some,
        "bottom": some[:, :, ::-1],
        "left": some.transpose(0, 1, 3, 2),
        "right": some[..., ::-1].transpose(0, 1, 3, 2),
    }
    steady = {edge: _steady_lines(lines) for edge, lines in edges.items()}
    framed = {edge: levels for edge, levels in steady.items() if levels}
    drawn = {edge: levels for edge, levels in framed.items() if any(8 < level < 247 for level in levels)}
    if drawn:
        listed = ", ".join(f"{edge} {len(levels)} (grey {levels[0]:.0f})" for edge, levels in drawn.items())
        yield AuditFinding(
            check="frame",
            severity="amber",
            title=f"A frame is drawn around the images; lines that are the same in all: {listed}",
            effect="It carries no information but draws spikes or currents in every step, and where a class or a "
            "folder has another frame it tells that one.",
            remedy="Crop the frame off, for example when the images are exported.",
            count=sum(map(len, drawn.values())),
        )
    elif framed:
        listed = ", ".join(
            f"{edge} {len(levels)}{'+' if len(levels) == _LINES else ''}" for edge, levels in framed.items()
        )
        yield AuditFinding(
            check="padding",
            severity="info",
            title=f"Lines at the edges are empty in all images: {listed}",
            effect="None on accuracy; they cost what empty pixels cost.",
            count=sum(map(len, framed.values())),
        )


def _steady_lines(images: UInt8[np.ndarray, "N C H W"]) -> list[float]:
    """Grey level of each line at the first edge that is the same in all images, from the edge inwards.

    The line's own ends are left aside: there another edge's frame begins.
    """
    levels: list[float] = []
    side = images.shape[3]
    for line in range(min(_LINES, images.shape[2] // 4)):
        values = images[:, :, line, side // 4 : side - side // 4]
        if len(images) < 2 or values.std() > _STEADY:
            break
        levels.append(float(values.mean()))
    return levels


_PROPORTIONS: Final = {
    "keep": ", and other proportions bars at two edges.",
    "stretch": "; other proportions are stretched.",
}
"""What becomes of images that are no square."""


def _sizes(look: Look) -> Iterator[AuditFinding]:
    inside = set(look.images.sources or ())
    sizes = Counter((one.height, one.width) for one in look.facts if one.file in inside and one.format)
    brought = next((f"{caution} " for caution in look.images.cautions if tells_sizes(caution)), "")
    if brought and len(sizes) <= 1:  # pictures in an archive are no files
        yield AuditFinding(
            check="mixed-sizes",
            severity="amber",
            title=brought.rstrip(". "),
            effect="Resizing leaves traces of the first size, such as blur.",
            remedy="If the first size tells the label, bring the images to one size at the source.",
        )
    if len(sizes) > 1:
        listed = ", ".join(f"{height}x{width} {count:,}" for (height, width), count in sizes.most_common(4))
        shapes = {round(width / height, 2) for height, width in sizes}
        yield AuditFinding(
            check="mixed-sizes",
            severity="amber" if len(shapes) > 1 else "info",
            title=f"Files come in {len(sizes):,} sizes (height x width: {listed}{', ...' if len(sizes) > 4 else ''})",
            effect=f"{brought}Resizing leaves traces of the first size, such as blur"
            + (_PROPORTIONS[look.images.aspect] if len(shapes) > 1 else "."),
            remedy="If the image-size probe tells the label, bring the files to one size at the source.",
            count=len(sizes),
        )


def _balance(look: Look) -> Iterator[AuditFinding]:
    counts = np.bincount(look.labels, minlength=len(look.images.classes))
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / max(1, counts[least])
    names = look.images.classes
    share = counts[most] / counts.sum()
    unequal = ratio >= _UNEQUAL
    title = (
        f"The largest class has {ratio:.1f} times the images of the smallest"
        f" ({names[most]} {counts[most]:,}, {names[least]} {counts[least]:,})"
        if counts[most] > counts[least]
        else f"Every class has as many images ({counts[most]:,})"
    )
    yield AuditFinding(
        check="class-balance",
        severity="amber" if unequal else "info",
        title=title,
        effect=f"Guessing {names[most]} is right {100 * share:.1f} % of the time."
        + (" Accuracy flatters; balanced accuracy does not." if unequal else ""),
        remedy="Read balanced accuracy; balance with split.undersample or class weights." if unequal else "",
    )


def _moved(look: Look) -> Iterator[AuditFinding]:
    table = np.stack([np.bincount(look.labels[look.part == k], minlength=len(look.images.classes)) for k in range(3)])
    used = table[table.sum(axis=1) > 0]
    if len(used) < 2 or (used.sum(axis=0) == 0).any():
        return
    shares = used / used.sum(axis=1, keepdims=True)
    move = float(np.ptp(shares, axis=0).max())
    p = float(chi2_contingency(used, correction=False).pvalue)
    if move > _MOVED and p < _SURE:
        label = int(np.ptp(shares, axis=0).argmax())
        present = [name for name, row in zip(PARTS, table, strict=True) if row.sum()]
        listed = ", ".join(f"{name} {100 * share:.0f} %" for name, share in zip(present, shares[:, label], strict=True))
        yield AuditFinding(
            check="balance-differs",
            severity="amber",
            title=f"The parts hold different shares of the classes: {look.images.classes[label]} is {listed}",
            effect="Accuracy on test and validation cannot be compared; a threshold chosen on one is off on the other.",
            remedy="Read balanced accuracy and AUC, or divide all images anew with split.published=false.",
        )
