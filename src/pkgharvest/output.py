"""Documents of records on a stream or in a file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from pkgharvest.errors import OutputError
from pkgharvest.files import Replacement, replacing
from pkgharvest.record import Record, encode_api, encode_line

Write = Callable[[bytes], object]

_IN_MEMORY = 2**20


Format = Literal["json", "jsonl", "list"]
"""The forms in which records are written: one document after the other, each as the API shows it;
one record a line; the API's list envelope."""


Status = Literal["ok", "unchanged"]
"""What became of a record: it was written, or the document that is there says the same."""


def escaped(document: bytes) -> bytes:
    """Return a JSON document that cannot steer a terminal, and means the same.

    JSON itself escapes neither control characters beyond U+001F nor those that turn the direction of the
    text; here they are escaped as it escapes others.
    """
    text = document.decode()
    return "".join(
        character if character.isprintable() or character == "\n" else _escape(character)
        for character in text
    ).encode()


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


class Documents(Protocol):
    """Takes records in their order."""

    def add(self, record: Record, base: Record | None = None, /) -> Status:
        """Take a record that was harvested, and the earlier one that it starts from.

        Raises:
            OccupiedError: this record cannot be written; others can.
            OutputError: nothing can be written any more.
        """
        ...

    def keep(self, record: Record, /) -> None:
        """Take an earlier record that is young enough; raises as `add` does."""
        ...

    def finish(self) -> None:
        """Write what is still missing."""
        ...

    def close(self) -> None:
        """Let go of what is not needed any more, finished or not."""
        ...


class Sequence:
    """Documents one after the other, each written when it comes."""

    def __init__(self, write: Write, encode: Callable[[Record], bytes]) -> None:
        """Take where to write, and the form of a document."""
        self._write = write
        self._encode = encode

    def add(self, record: Record, _base: Record | None = None) -> Status:
        """Write a record."""
        self._write(self._encode(record))
        return "ok"

    def keep(self, record: Record) -> None:
        """Write an earlier record."""
        self.add(record)

    def finish(self) -> None:
        """Do nothing: all is written."""

    def close(self) -> None:
        """Do nothing: nothing is held."""


class Envelope:
    """The API's list: ``count``, ``next``, ``previous``, ``results``.

    The count comes first, so that the records wait for the end, on the disk where they are many.
    """

    def __init__(self, write: Write, encode: Callable[[Record], bytes]) -> None:
        """Take where to write, and the form of a record."""
        self._write = write
        self._encode = encode
        self._count = 0
        self._waiting = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  closed by close

    def add(self, record: Record, _base: Record | None = None) -> Status:
        """Hold a record back until the end."""
        indented = b"".join(b"        " + line for line in self._encode(record).splitlines(keepends=True))
        separator = b",\n" if self._count else b"\n"
        try:
            self._waiting.write(separator + indented.removesuffix(b"\n"))
        except OSError as error:
            raise OutputError(f"a temporary file cannot be written: {error.strerror}") from error
        self._count += 1
        return "ok"

    def keep(self, record: Record) -> None:
        """Hold an earlier record back until the end."""
        self.add(record)

    def finish(self) -> None:
        """Write the envelope with all records."""
        head = f'{{\n    "count": {self._count},\n    "next": null,\n    "previous": null,\n    "results": ['
        self._write(head.encode())
        self._waiting.seek(0)
        shutil.copyfileobj(self._waiting, _Writable(self._write))
        self._write(b"\n    ]\n}\n" if self._count else b"]\n}\n")

    def close(self) -> None:
        """Close the temporary file."""
        self._waiting.close()


class _Writable:
    """A function as the stream that copyfileobj wants."""

    def __init__(self, write: Write) -> None:
        self.write = write


def documents(form: Format, write: Write, *, is_terminal: bool = False) -> Documents:
    """Return what writes records in a form, `escaped` for a terminal."""
    plain = encode_line if form == "jsonl" else encode_api

    def encode(record: Record) -> bytes:
        return escaped(plain(record)) if is_terminal else plain(record)

    return Envelope(write, encode) if form == "list" else Sequence(write, encode)


def flushing(stream: BinaryIO) -> Write:
    """Return what writes to the standard output, flushed each time so that a pipe has it at once.

    It raises BrokenPipeError if nobody reads the stream any more, OutputError if it cannot be written.
    """

    def write(data: bytes) -> None:
        try:
            stream.write(data)
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"the standard output cannot be written: {error.strerror}") from error

    return write


@contextmanager
def on_stream(form: Format, stream: BinaryIO) -> Iterator[Documents]:
    """Yield what writes records to a stream, each flushed so that a pipe has it at once.

    Raises:
        BrokenPipeError: nobody reads the stream any more.
        OutputError: the stream cannot be written.
    """
    with closing(documents(form, flushing(stream), is_terminal=stream.isatty())) as target:
        yield target
        target.finish()


@contextmanager
def in_file(form: Format, path: Path) -> Iterator[Documents]:
    """Yield what writes records to a file; without a single record the old file stays.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as replacement, closing(_in_replacement(form, replacement)) as target:
        yield target
        replacement.wanted = target.count > 0
        if replacement.wanted:
            target.finish()


def _in_replacement(form: Format, replacement: Replacement) -> _Counted:
    return _Counted(documents(form, replacement.write, is_terminal=replacement.is_terminal))


class _Counted:
    """Documents that are counted."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner
        self.count = 0

    def add(self, record: Record, base: Record | None = None) -> Status:
        self.count += 1
        return self._inner.add(record, base)

    def keep(self, record: Record) -> None:
        self.count += 1
        self._inner.keep(record)

    def finish(self) -> None:
        self._inner.finish()

    def close(self) -> None:
        self._inner.close()
