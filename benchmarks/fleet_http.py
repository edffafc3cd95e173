"""As much of HTTP/1.1 as the endpoints need: where an answer ends, so that a connection can be used again."""

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_UPGRADED = b" 101 "


class AnswerEnds:
    """Follows the answers on one connection (RFC 9112 section 6)."""

    def __init__(self) -> None:
        self.count = 0
        """How many answers are complete."""
        self.upgraded = False
        """Whether it speaks another protocol by now."""
        self._head = b""
        self._left = 0
        self._chunked = False
        self._tail = b""

    @property
    def reusable(self) -> bool:
        """Whether the last answer is complete."""
        return not (self.upgraded or self._head or self._left or self._chunked)

    def feed(self, data: bytes) -> None:
        """The next bytes of the connection."""
        while data and not self.upgraded:
            if self._chunked:
                # An answer that has these bytes inside, just where a read ends, counts as complete too early;
                # its connection is closed then by what still comes.
                self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
                if self._tail == _LAST_CHUNK:
                    self._chunked = False
                    self.count += 1
                return
            data = self._take_body(data) if self._left else self._take_head(data)

    def _take_body(self, data: bytes) -> bytes:
        taken = min(self._left, len(data))
        self._left -= taken
        if not self._left:
            self.count += 1
        return data[taken:]

    def _take_head(self, data: bytes) -> bytes:
        self._head += data
        head, found, rest = self._head.partition(_HEAD_END)
        if not found:
            return b""
        self._head = self._tail = b""
        status, *lines = head.split(b"\r\n")
        self.upgraded = _UPGRADED in status
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        self._chunked = headers.get(b"transfer-encoding") == b"chunked"
        self._left = int(headers.get(b"content-length", b"0"))
        if not self._chunked and not self._left:
            self.count += 1
        return rest


def replace_in_stream(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace one text by another of the same length, so that no length of the answer changes.

    Raises:
        ValueError: The lengths differ.
    """
    if len(old) != len(new):
        raise ValueError("the texts have different lengths")
    return data.replace(old, new)
