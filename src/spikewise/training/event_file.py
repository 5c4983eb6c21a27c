"""The event file of a training: a line for each epoch that is over, written once and never changed.

It is the one record of the learning curve. The checkpoint commits an epoch and carries it along until the line is
written, so a process that is killed between the two leaves a line to be added, never one to be taken back: who reads
the file while it grows, as trackers do, sees each epoch once.
"""

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spikewise.config import parse
from spikewise.errors import ConfigError
from spikewise.evaluation import EpochRecord
from spikewise.files import storage_errors
from spikewise.parsing import ParseError, parse_json
from spikewise.reading import check_regular, damaged

__all__ = ["EVENTS", "EpochEvent", "EventFile", "dated"]

EVENTS: Final = "events.jsonl"
_HEAD: Final = '{"crc32":"'
_DIGITS: Final = 8
_AFTER: Final = '",'
_REMEDY: Final = "Remove the folder that it is in and run again."


class EpochEvent(EpochRecord):
    """An epoch, and when it was over."""

    time: float
    """Seconds since 1970."""

    @property
    def record(self) -> EpochRecord:
        """The epoch without its time."""
        return EpochRecord(**self.model_dump(exclude={"time"}))


class EventFile:
    """`events.jsonl` in a training's folder: JSON objects, each with a CRC-32 of what follows it on its line."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / EVENTS
        self._end: tuple[int, int] | None = None
        """Epochs in it and bytes of their lines, once it was read to be added to: one process writes at a time."""

    def read(self) -> list[EpochEvent]:
        """Every epoch in it; a last line that was torn as its process died is not there yet.

        Raises:
            RunError: another line is damaged, or an epoch is missing.
        """
        return self._read()[0]

    def append(self, events: Sequence[EpochEvent]) -> None:
        """Add the epochs that it lacks, all of them or none, and flush them to the disk.

        Raises:
            RunError: it is damaged, or lacks an epoch before these.
            StorageError: the disk is full.
        """
        if self._end is None:
            found, size = self._read()
            self._end = len(found), size
        known, size = self._end
        fresh = [event for event in events if event.epoch > known]
        if fresh and fresh[0].epoch != known + 1:
            raise damaged(self.path, f"epoch {known + 1} is not in it", _REMEDY)
        content = b"".join(map(_line, fresh))
        with storage_errors(self.path), self.path.open("ab") as file:
            if file.tell() > size:  # what an earlier process had half written
                file.truncate(size)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._end = known + len(fresh), size + len(content)

    def clear(self) -> None:
        """A training begins anew, and nothing of another is left."""
        with storage_errors(self.path):
            self.path.unlink(missing_ok=True)
        self._end = None

    def _read(self) -> tuple[list[EpochEvent], int]:
        """The epochs, and the bytes of their lines."""
        if not self.path.exists():
            return [], 0
        check_regular(self.path, _REMEDY)
        *lines, _ = self.path.read_bytes().split(b"\n")
        events = [self._event(number, line) for number, line in enumerate(lines, start=1)]
        return events, sum(len(line) + 1 for line in lines)

    def _event(self, number: int, line: bytes) -> EpochEvent:
        try:
            event = parse(EpochEvent, parse_json(_checked(line)))
        except (UnicodeDecodeError, ParseError, ConfigError, ValueError) as error:
            raise damaged(self.path, f"line {number}: {error}", _REMEDY) from None
        if event.epoch != number:
            raise damaged(self.path, f"line {number} has epoch {event.epoch}", _REMEDY)
        return event


def dated(history: Sequence[EpochRecord], end: float) -> list[EpochEvent]:
    """Epochs whose times nobody noted, as if one had followed the other without a pause.

    Args:
        end: of the last, in seconds since 1970.
    """
    out, time = list[EpochEvent](), end
    for record in reversed(history):
        out.append(EpochEvent(**record.model_dump(), time=time))
        time -= record.seconds
    return out[::-1]


def _line(event: EpochEvent) -> bytes:
    body = json.dumps(event.model_dump(mode="json"), allow_nan=False)
    return f"{_HEAD}{zlib.crc32(body.encode()):0{_DIGITS}x}{_AFTER}{body[1:]}\n".encode()


def _checked(line: bytes) -> str:
    """What a line says, after its checksum."""
    text = line.decode()
    start = len(_HEAD) + _DIGITS
    body = "{" + text[start + len(_AFTER) :]
    told = text[len(_HEAD) : start]
    if text[: len(_HEAD)] != _HEAD or told != f"{zlib.crc32(body.encode()):0{_DIGITS}x}":
        raise ValueError("its checksum is wrong")
    return body
