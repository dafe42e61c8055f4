"""Splits the bytes of server-sent events into the data of each event."""

from typing import Final

MAX_EVENT: Final = 1024 * 1024
"""Most bytes of one event, of an unfinished line too."""

_BOM: Final = b"\xef\xbb\xbf"


class EventSplitter:
    """Takes network reads and gives the data of the events that each one completed.

    Lines end in LF, CR or CRLF and in nothing else: Unicode's other line ends are part of the text.
    """

    __slots__ = ("_after_cr", "_begun", "_data", "_partial", "_size", "too_large")

    def __init__(self) -> None:
        self.too_large = False
        """An event went over the limit. What was complete before it has been given; nothing more will be."""
        self._partial = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._begun = False

    def feed(self, read: bytes) -> list[bytes]:
        """Give the data of all events that end in this read."""
        events: list[bytes] = []
        if self.too_large:
            return events
        if self._after_cr or b"\r" in read:
            read = self._with_plain_ends(read)
        lines = read.split(b"\n")
        rest = lines.pop()
        if lines:
            if self._partial:
                lines[0] = bytes(self._partial) + lines[0]
                self._partial.clear()
            if not self._begun:
                self._begun = True
                lines[0] = lines[0].removeprefix(_BOM)
            self._take(lines, events)
        if rest:
            self._partial += rest
        self.too_large = self._size + len(self._partial) > MAX_EVENT
        return events

    def finish(self) -> list[bytes]:
        """Give the data of a last event that no blank line ended."""
        return self.feed(b"\n\n")

    def _take(self, lines: list[bytes], events: list[bytes]) -> None:
        data = self._data
        for line in lines:
            if line[:5] == b"data:":
                data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._size += len(line)
            elif not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    self._size = 0
            elif line == b"data":
                data.append(b"")
                self._size += len(line)

    def _with_plain_ends(self, read: bytes) -> bytes:
        if self._after_cr:
            read = read.removeprefix(b"\n")
            self._after_cr = False
        if read:
            self._after_cr = read[-1:] == b"\r"
        return read.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
