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
from spikewise.interop.html.assets import asset
from spikewise.interop.html.costs import costs
from spikewise.interop.html.describing import described
from spikewise.interop.html.drawings import drawings_like
from spikewise.interop.runtime import PageContent, Wish
from spikewise.viz import DARK, LIGHT, css_variables

__all__ = ["Made", "network_page"]

_SCRIPTS: Final = ("images.js", "charts.js", "page.js")
_MOST_SHOWN: Final = 100
_MOST_IMAGE_BYTES: Final = 256 * 1024
_LARGE: Final = 2_000_000


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
    model = _model(network, wish, beside)
    text = _filled(model, wish, beside)
    size = len(text.encode())
    warnings: tuple[str, ...] = ()
    if size > _LARGE:
        warnings = (
            f"The page has {size / 1e6:.1f} MB: weights stand in it with all of their 32 bits, because fewer would "
            "change spikes.",
        )
    shown = 0 if model["images"] is None else len(model["images"]["labels"])
    return Made(text, warnings, {"networks in it": len(model["networks"]), "test images in it": shown})


def _model(network: Deployed, wish: Wish, beside: PageContent) -> dict[str, Any]:
    bits = carried_bits(network.graph.steps)
    networks = [(network, beside.name), *([] if beside.twin is None else [(beside.twin, "twin")])]
    sample = beside.images
    drawn = None if sample is None else drawings_like(sample)
    return {
        "classes": list(wish.classes),
        "networks": [
            {"name": name, **described(one, seed=wish.seed), "costs": costs(one.graph, bits)} for one, name in networks
        ],
        "exit": beside.exit_at,
        "reading": {
            "aspect": beside.aspect,
            "ground": 255 if beside.background == "white" else 0,
        },
        "drawings": None if drawn is None else drawn._asdict(),
        "images": _images(beside),
    }


def _images(beside: PageContent) -> dict[str, Any] | None:
    """Some test images, evenly spaced, where they may be shown."""
    if not beside.shown or beside.images is None or beside.labels is None:
        return None
    most = min(_MOST_SHOWN, len(beside.images), _MOST_IMAGE_BYTES // beside.images[0].size)
    if not most:
        return None
    at = np.linspace(0, len(beside.images) - 1, most).astype(np.int64)
    pixels = base64.b64encode(np.ascontiguousarray(beside.images[at]).tobytes()).decode("ascii")
    return {"labels": beside.labels[at].tolist(), "pixels": pixels}


def _filled(model: dict[str, Any], wish: Wish, beside: PageContent) -> str:
    engine, script = asset("engine.js"), "\n".join(asset(name) for name in _SCRIPTS)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            model=Markup(_in_script(model)),  # our own
            engine=Markup(engine),
            script=Markup(script),
            digests=[_digest(engine), _digest(script)],
            style=Markup(f"{_theme_css()}\n{asset('page.css')}"),
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


def _theme_css() -> str:
    light, dark = (" ".join(f"{k}: {v};" for k, v in css_variables(theme).items()) for theme in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    )
