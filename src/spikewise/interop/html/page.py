"""The page: networks, images and costs as one JSON, with engine, script and style, in one file that loads nothing."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

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


class Made(NamedTuple):
    """A page, and what there is to say about it."""

    text: str
    warnings: tuple[str, ...]
    facts: Mapping[str, int | float | str]


def network_page(network: Deployed, wish: Wish) -> Made:
    """The page of a network, with what the wish has beside it.

    Raises:
        ConfigError: a page cannot hold a layer of one of the networks.
    """
    beside = PageContent() if wish.beside is None else wish.beside()
    page = _fitting(network, wish, beside)
    shown = 0 if page.model["images"] is None else len(page.model["images"]["labels"])
    facts: dict[str, int | float | str] = {"networks in it": len(page.model["networks"]), "test images in it": shown}
    if page.kept:
        facts["twin's answers with rounded weights"] = page.kept
    warnings: tuple[str, ...] = ()
    if page.size > _LARGE:
        warnings = (
            f"The page has {page.size / 1e6:.1f} MB: the network's weights keep all of their 32 bits, because fewer "
            "would change spikes.",
        )
    return Made(page.text, warnings, facts)


class _Page(NamedTuple):
    text: str
    model: dict[str, Any]
    kept: str
    """How many answers a twin with rounded weights keeps; empty where they are not rounded."""

    @property
    def size(self) -> int:
        return len(self.text.encode())


def _fitting(network: Deployed, wish: Wish, beside: PageContent) -> _Page:
    """The page whose twin has as many levels as there is room for; what is too large anyway saves little by few."""
    numbers = Numbers()
    main = described(network, numbers, seed=wish.seed)
    first: _Page | None = None
    for levels in (None, *_LEVELS) if beside.twin is not None else (None,):
        page = _page(network, _Beside(beside, levels), wish, main, numbers.copy())
        if page.size <= _LARGE or beside.twin is None:
            return page
        first = page if levels == _LEVELS[0] else first
    assert first is not None
    return first


class _Beside(NamedTuple):
    content: PageContent
    levels: int | None
    """Of the twin's weights."""


def _page(network: Deployed, shown: _Beside, wish: Wish, main: dict[str, Any], numbers: Numbers) -> _Page:
    beside, kept = shown.content, ""
    bits = carried_bits(network.graph.steps)
    networks = [{"name": beside.name, **main, "costs": costs(network.graph, bits)}]
    if beside.twin is not None:
        twin = Coarse(beside.twin, {}) if shown.levels is None else coarse(beside.twin, shown.levels)
        told = described(twin.network, numbers, seed=wish.seed, steps=twin.steps)
        networks.append({"name": "twin", **told, "costs": costs(twin.network.graph, bits)})
        if twin.steps and beside.images is not None:
            same = equal_decisions(beside.twin, twin.network, beside.images)
            kept = f"{same:,} of {len(beside.images):,}"
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
    return _Page(_filled(model, numbers, wish, beside, kept), model, kept)


def _images(beside: PageContent, numbers: Numbers) -> dict[str, Any] | None:
    """Some test images, evenly spaced, where they may be shown."""
    if not beside.shown or beside.images is None or beside.labels is None:
        return None
    most = min(_MOST_SHOWN, len(beside.images), _MOST_IMAGE_BYTES // beside.images[0].size)
    if not most:
        return None
    at = np.linspace(0, len(beside.images) - 1, most).astype(np.int64)
    return {"labels": beside.labels[at].tolist(), "pixels": numbers.bytes(beside.images[at])}


def _filled(model: dict[str, Any], numbers: Numbers, wish: Wish, beside: PageContent, kept: str) -> str:
    engine, script = engine_script(), "\n".join(asset(name) for name in _SCRIPTS)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            model=Markup(_in_script(model)),  # our own
            numbers=Markup(numbers.text()),
            kept=kept,
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
