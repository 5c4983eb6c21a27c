"""TensorBoard: event files, read back before they are added to.

A file is a row of records: length, checksum, content, checksum (TFRecord). A writer that was killed leaves a whole row
and perhaps a torn record at its end, which is cut off before the next is written.
Source: TensorFlow, "TFRecord and tf.train.Example"; tensorflow/core/util/event.proto.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from spikewise.files import make_folder, storage_errors
from spikewise.tracking.curves import Curve
from spikewise.tracking.tracker import missing

__all__ = ["TensorBoard"]

_LENGTH: Final = struct.Struct("<Q")
_CHECK: Final = struct.Struct("<I")
_MASK: Final = 0xA282EAD8
_VERSION: Final = "brain.Event:2"
_PROGRAM: Final = "spikewise"
_SHOWN: Final = ("validation/accuracy", "test/accuracy")
"""What the page of hyper-parameters puts beside them."""


class TensorBoard:
    """A folder of event files, one for each training; the name of a file tells which training it is of."""

    def __init__(self, folder: Path, out: str | None) -> None:
        try:
            from tensorboardX import summary  # noqa: PLC0415  # an extra
            from tensorboardX.crc32c import crc32c  # noqa: PLC0415
            from tensorboardX.proto import event_pb2  # noqa: PLC0415
        except ImportError as error:
            raise missing("tensorboardX, which writes TensorBoard's files,", "tensorboard", error) from error
        self._root = Path(out) if out is not None else folder / "tensorboard"
        self._event, self._crc, self._summaries = event_pb2.Event, crc32c, summary
        self._known: dict[str, tuple[Path, set[tuple[str, int]]]] = {}

    @property
    def place(self) -> str:
        """The folder for `tensorboard --logdir`."""
        return str(self._root)

    def log(self, curve: Curve) -> int:
        """As a tracker does."""
        path, known = self._known.get(curve.key) or self._opened(curve)
        self._known[curve.key] = path, known
        fresh = [event for event in self._events(curve) if not self._names(event) <= known]
        if not fresh:
            return 0
        del self._known[curve.key]  # what a full disk cuts short is read back before more is written
        with storage_errors(path), path.open("ab") as file:
            file.write(b"".join(self._framed(event.SerializeToString()) for event in fresh))
        names = {name for event in fresh for name in self._names(event)}
        self._known[curve.key] = path, known | names
        return len(names)

    def close(self) -> None:
        """Every file is whole at any time."""

    def _opened(self, curve: Curve) -> tuple[Path, set[tuple[str, int]]]:
        """The file of a training, and the tags and steps that are in it."""
        folder = make_folder(self._folder(curve))
        path = folder / self._file(curve)
        with storage_errors(path):
            content = path.read_bytes() if path.exists() else b""
            whole = list(self._contents(content))
            size = whole[-1][1] if whole else 0
            if not whole:
                first = self._event(wall_time=curve.born, file_version=_VERSION)
                path.write_bytes(self._framed(first.SerializeToString()))
            elif size < len(content):
                with path.open("rb+") as file:
                    file.truncate(size)
        return path, {name for part, _ in whole for name in self._names(self._event.FromString(part))}

    def _folder(self, curve: Curve) -> Path:
        """Two trainings of one name, as when a run was made again elsewhere, have folders of their own."""
        number = 1
        while True:
            name = curve.run if number == 1 else f"{curve.run}-{number}"
            folder = self._root / name / curve.part
            if {path.name for path in folder.glob(f"*.{_PROGRAM}")} <= {self._file(curve)}:
                return folder
            number += 1

    @staticmethod
    def _file(curve: Curve) -> str:
        return f"events.out.tfevents.{int(curve.born)}.{curve.key}.{_PROGRAM}"

    def _events(self, curve: Curve) -> Iterator[Any]:
        """All there is to tell: settings, epochs, final figures."""
        if curve.points:
            experiment, start, end = self._summaries.hparams(dict(curve.settings), dict.fromkeys(_SHOWN))
            for told in (experiment, start):
                yield self._event(wall_time=curve.born, summary=told)
            if curve.summary:
                yield self._event(wall_time=curve.ended or curve.points[-1].time, summary=end)
        for point in curve.points:
            yield self._scalars(point.time, point.step, point.figures)
        if curve.summary:
            yield self._scalars(curve.ended or curve.born, curve.last, dict(curve.summary))

    def _scalars(self, time: float, step: int, figures: dict[str, float]) -> Any:
        event = self._event(wall_time=time, step=step)
        for tag, value in figures.items():
            event.summary.value.add(tag=tag, simple_value=value)
        return event

    @staticmethod
    def _names(event: Any) -> set[tuple[str, int]]:
        return {(value.tag, int(event.step)) for value in event.summary.value}

    def _contents(self, content: bytes) -> Iterator[tuple[bytes, int]]:
        """Each whole record, and where it ends."""
        at = 0
        while True:
            head = content[at : at + _LENGTH.size]
            start = at + _LENGTH.size + _CHECK.size
            if len(head) < _LENGTH.size or content[at + _LENGTH.size : start] != self._masked(head):
                return
            at = start + _LENGTH.unpack(head)[0]
            part, end = content[start:at], at + _CHECK.size
            if content[at:end] != self._masked(part):
                return
            yield part, end
            at = end

    def _framed(self, content: bytes) -> bytes:
        head = _LENGTH.pack(len(content))
        return head + self._masked(head) + content + self._masked(content)

    def _masked(self, content: bytes) -> bytes:
        found = self._crc(content)
        return _CHECK.pack((((found >> 15) | (found << 17)) + _MASK) & 0xFFFFFFFF)
