"""The page: networks, images and costs as one JSON, with engine, script and style, in one file that loads nothing."""

import base64
import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from spikewise.errors import ConfigError
from spikewise.evaluation.cost import carried_bits
from spikewise.interop.deployed import Deployed
from spikewise.interop.html.assets import asset, engine_script
from spikewise.interop.html.coarse import Coarse, coarse, equal_decisions
from spikewise.interop.html.costs import costs
from spikewise.interop.html.describing import described
from spikewise.interop.html.drawings import drawings_like
from spikewise.interop.html.packing import Numbers
from spikewise.interop.runtime import PageContent, Wish
from spikewise.viz import theme_css

__all__ = ["Made", "network_page"]

_SCRIPTS: Final = ("images.js", "charts.js", "page.js")
_MOST_SHOWN: Final = 100
_MOST_IMAGE_BYTES: Final = 256 * 1024
_LARGE: Final = 2_000_000
_LEVELS: Final = (64, 32, 16, 11, 8)
"""Of a twin's weights, for one root mean square, where all 32 bits of each have no room."""
_ALL_LEVELS: Final = tuple(round(2 ** (12 - half / 2)) for half in range(24))
"""Of all weights, where the page may have no more than a given size: 4096, 2896, ... 2, 1, half a bit apart."""


class Made(NamedTuple):
    """A page, and what there is to say about it."""

    text: str
    warnings: tuple[str, ...]
    facts: Mapping[str, int | float | str]
    levels: int | None
    """Of the network's weights; None where they are kept."""


def network_page(network: Deployed, wish: Wish) -> Made:
    """The page of a network, with what the wish has beside it.

    Raises:
        ConfigError: a page cannot hold a layer of one of the networks, or be made as small as is wished for.
    """
    beside = PageContent() if wish.beside is None else wish.beside()
    page = _fitting(network, wish, beside)
    shown = 0 if page.model["images"] is None else len(page.model["images"]["labels"])
    facts: dict[str, int | float | str] = {"networks in it": len(page.model["networks"]), "test images in it": shown}
    if page.levels is not None:
        facts["weights are multiples of"] = f"1/{page.levels} of their root mean square"
    if page.kept.network:
        facts["answers kept with rounded weights"] = page.kept.network
    if page.kept.twin:
        facts["twin's answers with rounded weights"] = page.kept.twin
    warnings: tuple[str, ...] = ()
    if page.size > _LARGE and page.levels is None:
        warnings = (
            f"The page has {page.size / 1e6:.1f} MB: the network's weights keep all of their 32 bits, because fewer "
            "would change spikes. `--max-size 2MB` rounds them as far as that takes, and says what it costs.",
        )
    return Made(page.text, warnings, facts, page.levels)


class _Kept(NamedTuple):
    """How many answers networks with rounded weights keep; empty where they are not rounded."""

    network: str = ""
    twin: str = ""


class _Page(NamedTuple):
    text: str
    model: dict[str, Any]
    kept: _Kept
    levels: int | None

    @property
    def size(self) -> int:
        return len(self.text.encode())


def _fitting(network: Deployed, wish: Wish, beside: PageContent) -> _Page:
    """The page whose twin has as many levels as there is room for; what is too large anyway saves little by few."""
    begun, most = _begun(network, wish, None), _LARGE if wish.max_size is None else wish.max_size
    first: _Page | None = None
    for levels in (None, *_LEVELS) if beside.twin is not None else (None,):
        page = _page(begun, _Beside(beside, levels), wish)
        if page.size <= most:
            return page
        first = page if first is None or levels == _LEVELS[0] else first
    assert first is not None
    return first if wish.max_size is None else _rounded(network, wish, beside, most)


def _rounded(network: Deployed, wish: Wish, beside: PageContent, most: int) -> _Page:
    """The page with the finest levels of all weights for which there is room.

    Raises:
        ConfigError: there is none for the coarsest.
    """

    def made(levels: int, *, counted: bool = False) -> _Page:
        return _page(_begun(network, wish, levels), _Beside(beside, levels, counted), wish)

    smallest = made(_ALL_LEVELS[-1]).size
    if smallest > most:
        raise ConfigError(
            f"A page of this network can't have {most / 1e6:g} MB: the smallest has {smallest / 1e6:.2f} MB, with "
            f"weights rounded to multiples of their root mean square. Give --max-size {smallest / 1e6 + 0.01:.2f}MB "
            "or more, or train a network with fewer weights."
        )
    place = bisect_left(_ALL_LEVELS, True, hi=len(_ALL_LEVELS) - 1, key=lambda levels: made(levels).size <= most)
    return made(_ALL_LEVELS[place], counted=True)


class _Begun(NamedTuple):
    """The network itself, with which a page begins."""

    trained: Deployed
    held: Deployed
    told: dict[str, Any]
    numbers: Numbers
    levels: int | None


def _begun(network: Deployed, wish: Wish, levels: int | None) -> _Begun:
    numbers, held = Numbers(), Coarse(network, {}) if levels is None else coarse(network, levels)
    told = described(held.network, numbers, seed=wish.seed, steps=held.steps)
    return _Begun(network, held.network, told, numbers, levels)


class _Beside(NamedTuple):
    content: PageContent
    levels: int | None
    """Of the twin's weights."""
    counted: bool = True
    """Whether the answers that rounded networks keep are counted, or stand there as if all were kept."""

    def kept(self, one: Deployed, other: Deployed, seed: int) -> str:
        """How many answers."""
        images = self.content.images
        if images is None or one is other:
            return ""
        same = equal_decisions(one, other, images, seed=seed) if self.counted else len(images)
        return f"{same:,} of {len(images):,}"


def _page(begun: _Begun, shown: _Beside, wish: Wish) -> _Page:
    beside, numbers = shown.content, begun.numbers.copy()
    bits = carried_bits(begun.held.graph.steps)
    networks = [{"name": beside.name, **begun.told, "costs": costs(begun.held.graph, bits)}]
    kept = _Kept(shown.kept(begun.trained, begun.held, wish.seed))
    if beside.twin is not None:
        twin = Coarse(beside.twin, {}) if shown.levels is None else coarse(beside.twin, shown.levels)
        told = described(twin.network, numbers, seed=wish.seed, steps=twin.steps)
        networks.append({"name": "twin", **told, "costs": costs(twin.network.graph, bits)})
        kept = kept._replace(twin=shown.kept(beside.twin, twin.network, wish.seed))
    drawn = None if beside.images is None else drawings_like(beside.images)
    model = {
        "classes": list(wish.classes),
        "networks": networks,
        "exit": beside.exit_at,
        "reading": {
            "aspect": beside.aspect,
            "ground": 255 if beside.background == "white" else 0,
        },
        "drawings": None if drawn is None else drawn._asdict(),
        "images": _images(beside, numbers),
    }
    return _Page(_filled(model, numbers, wish, beside, _Rounding(kept, begun.levels)), model, kept, begun.levels)


def _images(beside: PageContent, numbers: Numbers) -> dict[str, Any] | None:
    """Some test images, evenly spaced, where they may be shown."""
    if not beside.shown or beside.images is None or beside.labels is None:
        return None
    most = min(_MOST_SHOWN, len(beside.images), _MOST_IMAGE_BYTES // beside.images[0].size)
    if not most:
        return None
    at = np.linspace(0, len(beside.images) - 1, most).astype(np.int64)
    return {"labels": beside.labels[at].tolist(), "pixels": numbers.bytes(beside.images[at])}


class _Rounding(NamedTuple):
    kept: _Kept
    levels: int | None


def _filled(model: dict[str, Any], numbers: Numbers, wish: Wish, beside: PageContent, rounding: _Rounding) -> str:
    engine, script = engine_script(), "\n".join(asset(name) for name in _SCRIPTS)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            model=Markup(_in_script(model)),  # our own
            numbers=Markup(numbers.text()),
            kept=rounding.kept,
            levels=rounding.levels,
            engine=Markup(engine),
            script=Markup(script),
            digests=[_digest(engine), _digest(script)],
            style=Markup(f"{theme_css()}\n{asset('page.css')}"),
            wish=wish,
            beside=beside,
            main=model["networks"][0],
            twin=model["networks"][1] if len(model["networks"]) > 1 else None,
            shown=model["images"],
            drawings=model["drawings"],
        )
    )


def _in_script(model: dict[str, Any]) -> str:
    """JSON that a script element may hold, whatever the names of the classes are."""
    text = json.dumps(model, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
