"""A figure as SVG inside a page: colours follow the page's theme, text its font, and nothing is loaded."""

import re
from xml.etree import ElementTree as ET

from matplotlib.figure import Figure

from spikewise.viz.canvas import figure_bytes
from spikewise.viz.theme import LIGHT, css_variables

__all__ = ["inline_svg"]

_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_FONT = re.compile(r"font:\s*(?:(\d+|bold)\s+)?([\d.]+)px[^;]*")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_UPRIGHT = re.compile(r"M (\S+) (\S+) L \1 (\S+)")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_VARIABLES = {colour: f"var({name})" for name, colour in css_variables(LIGHT).items()}


def inline_svg(figure: Figure, *, key: str, title: str) -> str:
    """An `<svg>` element for a page that defines the variables of `css_variables`; figures must be drawn in `LIGHT`.

    Args:
        key: Distinguishes the ids of this figure from those of others on the page.
        title: What a reader who cannot see it is told.
    """
    root = ET.fromstring(figure_bytes(figure, "svg"))
    _drop_background(root)
    used = {found for element in root.iter() for found in _referenced(element)}
    for parent in list(root.iter()):
        for child in list(parent):
            if _plain(child.tag) == "metadata":
                parent.remove(child)
    for element in root.iter():
        element.tag = _plain(element.tag)
        element.attrib = {
            _plain(k): _clean(_plain(k), v, key) for k, v in element.attrib.items() if _kept(_plain(k), v, used)
        }
    for unwanted in ("width", "height", "version"):
        root.attrib.pop(unwanted, None)
    root.attrib |= {"role": "img", "aria-label": title, "class": "figure"}
    return ET.tostring(root, encoding="unicode")


def _drop_background(root: ET.Element) -> None:
    """The page has its own: what a file of its own needs is left out."""
    for figure in root.iter():
        for child in list(figure):
            if child.get("id") == "patch_1" and (figure.get("id") or "").startswith("figure"):
                figure.remove(child)
                return


def _plain(name: str) -> str:
    return name.rpartition("}")[2]


def _referenced(element: ET.Element) -> list[str]:
    links = [value[1:] for name, value in element.attrib.items() if _plain(name) == "href" and value.startswith("#")]
    return links + [found for value in element.attrib.values() for found in _REFERENCE.findall(value)]


def _kept(name: str, value: str, used: set[str]) -> bool:
    return name != "id" or value in used


def _clean(name: str, value: str, key: str) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name == "href":
        return f"#{key}-{value[1:]}" if value.startswith("#") else value
    if name == "style":
        value = _FONT.sub(_font, value)
        value = _COLOUR.sub(lambda m: _VARIABLES.get(m[0], m[0]), value)
    value = _REFERENCE.sub(lambda m: f"url(#{key}-{m[1]})", value)
    if name in ("d", "x", "y", "transform", "points", "x1", "x2", "y1", "y2"):
        value = _NUMBER.sub(lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), value)
    value = " ".join(value.split())
    return _UPRIGHT.sub(r"M\1 \2V\3", value) if name == "d" else value


def _font(match: re.Match[str]) -> str:
    weight = f"font-weight: {match[1]}; " if match[1] else ""
    return f"{weight}font-size: {match[2]}px"
