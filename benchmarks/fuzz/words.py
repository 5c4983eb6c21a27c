"""Is a message one that a user can read?"""

import re

LONGEST = 2500
_MACHINERY = re.compile(
    r"Traceback \(most recent|0x[0-9a-f]{8,}|<class '|<function |\bpydantic|object at |Input should|input_value"
    r"|PanicException|_pickle|NoneType|\bself\.|\bErrno\b",
)
"""What interpreters and libraries say to programmers."""


def complaint(message: str) -> str | None:
    """What is wrong with a message; None if nothing is."""
    if not message.strip():
        return "says nothing"
    if len(message) > LONGEST:
        return f"is {len(message):,} characters long"
    if found := _MACHINERY.search(message):
        return f"speaks of machinery: {found.group()!r}"
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in message):
        return "holds half of a surrogate pair, which no stream can write"
    if any(ord(letter) < 32 and letter != "\n" for letter in message):
        return "holds control characters"
    return None
