"""Words of the glossary inside the page's own text, each a link to its meaning where it stands first."""

import re
from typing import Final

from markupsafe import Markup, escape

from spikewise.report.glossary import GLOSSARY

__all__ = ["explained", "key_of"]

_OTHER_WORDS: Final = {
    "same network without spikes": "twin",
    "intervals": "interval",
    "time steps": "time step",
    "seeds": "seed",
    "epochs": "epoch",
    "spike rates": "spike rate",
    "multiply-accumulates": "MAC",
    "MACs": "MAC",
    "synaptic operations": "synaptic operation",
    "calibration error": "ECE",
    "front": "front",
}
"""Other forms of a term."""
_TERMS: Final = {term: term for term, _ in GLOSSARY if len(term) > 1} | _OTHER_WORDS
_WORD: Final = re.compile(
    r"(?<![\w-])(" + "|".join(re.escape(one) for one in sorted(_TERMS, key=len, reverse=True)) + r")(?![\w-])",
    re.IGNORECASE,
)


def key_of(term: str) -> str:
    """The id of a term in the glossary."""
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def explained(text: str) -> Markup:
    """Text in which each term of the glossary, where it stands first, leads to its meaning.

    The page's script shows the meaning in place, by pointer and by keyboard; without it the link goes to the glossary.
    """
    seen: set[str] = set()
    parts: list[Markup] = []
    at = 0
    for found in _WORD.finditer(text):
        term = _term(found[1])
        if term is None or term in seen:
            continue
        seen.add(term)
        key = key_of(term)
        link = Markup('<a class="term" href="#{0}" aria-describedby="{0}">{1}</a>').format(key, found[1])
        parts += [escape(text[at : found.start()]), link]
        at = found.end()
    return Markup("").join([*parts, escape(text[at:])])


def _term(word: str) -> str | None:
    """The glossary's term for a word; a term in capitals is met by capitals only."""
    exact = _TERMS.get(word)
    if exact is not None:
        return exact
    lower = word.lower()
    return next((term for form, term in _TERMS.items() if form.lower() == lower and not form.isupper()), None)
