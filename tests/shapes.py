"""What checks shapes and types while tests run: `--jaxtyping-packages=spikewise,shapes.checked`.

jaxtyping's import hook decorates every function of the package with `checked`; a tensor of another shape or type than a
signature says is an error then, in whatever test it appears.
"""

from collections.abc import Callable
from typing import TypeVar

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep3119Exception

F = TypeVar("F", bound=Callable[..., object])
_strict = beartype(conf=BeartypeConf(is_pep484_tower=True))  # as for mypy, an int is a float


def checked(function: F) -> F:
    """The function, checked at each call; as it is where pydantic annotates with a protocol that nobody can ask."""
    try:
        return _strict(function)
    except BeartypeDecorHintPep3119Exception as error:
        if "pydantic_core" in str(error):
            return function
        raise
