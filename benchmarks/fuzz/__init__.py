"""Fuzzing: mutated inputs of many kinds, each of which must end in a result or in one clear message.

A kind is a module of `kinds/` with two functions:

    cases(seed, count)   an iterator over `count` inputs that `seed` decides alone; a case has a `name` that says what
                         was done to it, and can be pickled
    run(case)            does with it what a user would; returns anything, or raises a `SpikewiseError`

A case fails where `run` raises anything else, says something that is no plain sentence (see `words.py`), warns, takes
too long or too much memory, or ends the process.
"""
