"""Which of two classes is the positive one: the finding that sensitivity, specificity, precision and F1 are about."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from spikewise.data.classes import one_class
from spikewise.errors import ConfigError, unknown_choice

__all__ = ["Positive", "positive_class"]

_NEGATIVE = re.compile(
    r"normal|healthy|neg(ative)?|benign|controls?|none|nothing|absent|clean|background|ok|good|intact|undamaged|"
    r"uninfected|unaffected|unremarkable|false"
)
_POSITIVE = re.compile(r"pos(itive)?|yes|true|present|abnormal|sick|ill|diseased|malignant|infected|affected|defective")
_DENIALS = ("no", "non", "not", "without")


class Positive(NamedTuple):
    """The label of the positive class, and why it is that one."""

    label: int
    why: str


def positive_class(classes: Sequence[str], asked: str | None = None, published: str | None = None) -> Positive:
    """The positive class of two: the one asked for, else the known set's, else what the names say, else the second.

    Names say it where one of the two alone is called normal, healthy, negative, benign, control or the like, or
    denies something (`no tumour`, `non-covid`): the other is positive; or where one alone is called positive,
    abnormal, sick or the like.

    Args:
        asked: `data.positive`.
        published: What the catalog says of a known set.
    Returns:
        Label 1 where there are more than two classes: no figure is about one of them.
    Raises:
        ConfigError: a class was asked for that is not there, or one of more than two.
    """
    if asked is not None:
        return Positive(_asked(classes, asked), "as data.positive says")
    if len(classes) != 2:
        return Positive(1, "")
    if published in classes:
        return Positive(classes.index(published), "as known of this set")
    denied = [name for name in classes if _denies(name)]
    if len(denied) == 1:
        return Positive(1 - classes.index(denied[0]), f"the other class is called '{denied[0]}'")
    affirmed = [label for label, name in enumerate(classes) if any(map(_POSITIVE.fullmatch, _words(name)))]
    if len(affirmed) == 1:
        return Positive(affirmed[0], "by its name")
    return Positive(1, "the second of two; data.positive names another")


def _asked(classes: Sequence[str], asked: str) -> int:
    asked = one_class(asked)
    if asked not in classes:
        raise unknown_choice("class for data.positive", asked, classes)
    if len(classes) != 2:
        raise ConfigError(
            f"data.positive = '{asked}' has no meaning with {len(classes)} classes: "
            "sensitivity and specificity of one class are figures of two. Leave it out."
        )
    return classes.index(asked)


def _denies(name: str) -> bool:
    """Whether a class is called by what is not there."""
    words = _words(name)
    turned = False
    while words and words[0] in _DENIALS:
        turned, words = not turned, words[1:]
    return turned != any(map(_NEGATIVE.fullmatch, words))


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.casefold())
