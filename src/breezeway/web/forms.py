"""Forms: urlencoded, and multipart/form-data (RFC 7578), which is read as it comes.

The bytes are divided by the library `multipart`; here is what is made of the parts, and what is refused:
whatever two programs could read in two ways is 400, what is too much is 413.
"""

from __future__ import annotations

from itertools import chain
from math import inf
from typing import Any, Final

from breezeway.semantics.form_data import parse_disposition
from breezeway.semantics.media_types import MediaType, parse_media_type
from breezeway.semantics.query import TooManyPairsError, pairs
from breezeway.web.body import BodyStream
from breezeway.web.errors import BadRequest, ContentTooLarge, UnsupportedMediaType
from breezeway.web.limits import Limits
from breezeway.web.uploads import UNKNOWN, Spool, Upload
from breezeway.web.values import Values

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

BLOCK_BYTES: Final = 256 * 1024
"""Of a body that is read at a time: a file of 1 GiB comes at 2.5 GiB/s so, and at 1.6 with 64 KiB
(bench/web/upload.py)."""

LINE_BYTES: Final = 4 * 1024
"""Of a header of a part: a file has a name of 255 bytes at most, 765 if they are percent-encoded."""

LINES: Final = 8
"""Headers of a part: RFC 7578 section 4.8 has use for two."""

NAME_CHARACTERS: Final = 1024
"""Of the name of a field."""

SILENT_BYTES: Final = 64 * 1024
"""Of what belongs to no part, before the first or after the last, and of the headers of one; behind the
first boundary counted in blocks in which there is nothing else, so that it can be a block more."""

PART_BYTES: Final = 1024
"""What a part takes beside its content, more than browsers ever send: for the bound of a whole body."""

# boundary := 0*69<bchars> bcharsnospace                                   RFC 2046 section 5.1.1
BOUNDARY_CHARACTERS: Final = 70
_BOUNDARY: Final = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? "
)

IDENTITY: Final = ("7bit", "8bit", "binary")
"""Values of Content-Transfer-Encoding that change nothing (RFC 2045 section 6.2)."""

INSTALL: Final = "forms with files need the extra `forms`: pip install 'breezeway[forms]'"


class FormData(Values[str]):
    """The fields of a form, and its `files`."""

    __slots__ = ("_spool", "files")

    def __init__(
        self,
        fields: list[tuple[str, str]],
        files: list[tuple[str, Upload]],
        spool: Spool | None = None,
    ) -> None:
        super().__init__(fields)
        self.files: Values[Upload] = Values(files)
        """What is sent as a file, by the names of the fields."""
        self._spool = spool

    @property
    def is_spooled(self) -> bool:
        """Whether there is something to close."""
        return self._spool is not None

    def close(self) -> None:
        """Delete the files."""
        if self._spool is not None:
            self._spool.close()


def most_bytes(limits: Limits) -> int:
    """Return how large a multipart body can be at most."""
    parts = limits.fields + limits.files
    return limits.field_bytes + limits.files_bytes + parts * PART_BYTES + SILENT_BYTES


def boundary_of(media_type: MediaType) -> str:
    """Return what divides the parts.

    Raises:
        BadRequest: it is missing, or none by RFC 2046.
    """
    boundary = media_type.parameters.get("boundary", "")
    if (
        not 1 <= len(boundary) <= BOUNDARY_CHARACTERS
        or not _BOUNDARY.issuperset(boundary)
        or boundary[-1] == " "
    ):
        raise BadRequest("the form has no boundary by RFC 2046")
    return boundary


def read_urlencoded(body: bytes, limits: Limits) -> FormData:
    """Read an urlencoded form.

    Raises:
        BadRequest: a field is not UTF-8.
        ContentTooLarge: there are too many.
    """
    try:
        return FormData(pairs(body.decode("latin-1"), limits.fields, "strict"), [])
    except UnicodeDecodeError:
        raise BadRequest("a field of the form is not UTF-8") from None
    except TooManyPairsError:
        raise ContentTooLarge(f"the form has more than {limits.fields} fields") from None


def require_library() -> None:
    """Raise RuntimeError if the library `multipart` is not installed, or another one of that name."""
    try:
        from multipart import PushMultipartParser  # noqa: F401
    except ImportError:
        raise RuntimeError(INSTALL) from None


def read_multipart(stream: BodyStream, boundary: str, limits: Limits) -> FormData:
    """Read a form with files, to the end of the body.

    Raises:
        BadRequest: it is malformed, or a field is not UTF-8.
        ContentTooLarge: there is too much of something.
        UnsupportedMediaType: a part has a charset or an encoding that nobody should use.
        RuntimeError: the library `multipart` is not installed.
    """
    require_library()
    from multipart import MultipartError, ParserLimitReached

    from breezeway.web.form_parser import FormParser, first_block

    parser = FormParser(
        boundary,
        max_header_size=LINE_BYTES,
        max_header_count=LINES,
        max_segment_size=inf,
        max_segment_count=limits.fields + limits.files,
        header_charset="utf8",
        strict=False,
    )
    parts = _Parts(limits)
    try:
        first = first_block(stream, boundary, BLOCK_BYTES, SILENT_BYTES)
        silent = 0
        for block in chain((first,), stream.blocks(BLOCK_BYTES)):
            silent += len(block)
            for event in () if parser.closed else parser.parse(block):
                silent = 0
                parts.take(event)
            if silent > SILENT_BYTES:
                raise BadRequest(f"more than {SILENT_BYTES} bytes of the form are in no part")
        parser.close()
        return parts.form()
    except ParserLimitReached as error:
        parts.close()
        raise ContentTooLarge(f"the form is too large: {error.args[0]}") from None
    except MultipartError as error:
        parts.close()
        raise BadRequest(f"the form is malformed: {error.args[0]}") from None
    except BaseException:
        parts.close()
        raise


class _Parts:
    """What has come of a form so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._spool = Spool(limits.memory_bytes)
        self._fields: list[tuple[str, str]] = []
        self._files: list[tuple[str, Upload]] = []
        self._field_bytes = 0
        self._files_bytes = 0
        self._name = ""
        self._pieces: list[bytes] = []
        self._upload: Upload | None = None

    def take(self, event: Any) -> None:
        """Take what the parser has found: the head of a part, a piece of its content, or its end."""
        if event is None:
            self._end()
        elif isinstance(event, bytes | bytearray):
            block = bytes(event)
            if self._upload is not None:
                self._add_to_file(self._upload, block)
            else:
                self._count(len(block))
                self._pieces.append(block)
        else:
            self._begin(event.headerlist)

    def form(self) -> FormData:
        """Return the whole."""
        if not self._spool.size:
            self._spool.close()
        return FormData(self._fields, self._files, self._spool if self._files else None)

    def close(self) -> None:
        """Give everything up."""
        self._spool.close()

    def _begin(self, headers: list[tuple[str, str]]) -> None:
        fields = _headers(headers)
        try:
            part = parse_disposition(fields["content-disposition"])
        except ValueError as error:
            raise BadRequest(str(error)) from None
        if len(part.name) > NAME_CHARACTERS:
            raise ContentTooLarge(f"a name in the form has more than {NAME_CHARACTERS} characters")
        coding = fields.get("content-transfer-encoding", "binary").strip(" \t").lower()
        if coding not in IDENTITY:
            raise UnsupportedMediaType("a part of the form has a Content-Transfer-Encoding")
        self._name = part.name
        content_type = fields.get("content-type", "")
        if part.filename is None:
            self._begin_field(content_type)
            return
        if len(self._files) >= self._limits.files:
            raise ContentTooLarge(f"the form has more than {self._limits.files} files")
        name = _type_of_file(content_type)
        self._upload = Upload(self._spool, part.name, part.filename, name)

    def _begin_field(self, content_type: str) -> None:
        if len(self._fields) >= self._limits.fields:
            raise ContentTooLarge(f"the form has more than {self._limits.fields} fields")
        self._count(len(self._name))
        if not content_type:
            return
        try:
            media_type = parse_media_type(content_type)
        except ValueError:
            raise BadRequest("the Content-Type of a part is malformed") from None
        if media_type.name.startswith("multipart/"):
            raise BadRequest("a part of the form is multipart itself")  # RFC 7578 section 4.3
        if not media_type.is_utf_8:
            raise UnsupportedMediaType("the fields of a form must be UTF-8")

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > self._limits.field_bytes:
            raise ContentTooLarge(
                f"the fields of the form have more than {self._limits.field_bytes} bytes"
            )

    def _add_to_file(self, upload: Upload, block: bytes) -> None:
        limits = self._limits
        self._files_bytes += len(block)
        if upload.size + len(block) > limits.file_bytes:
            raise ContentTooLarge(f"a file has more than {limits.file_bytes} bytes")
        if self._files_bytes > limits.files_bytes:
            raise ContentTooLarge(f"the files have more than {limits.files_bytes} bytes")
        upload._add(block)

    def _end(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            # A browser sends an empty one without a name where no file was chosen.
            if upload.size or upload.client_filename:
                self._files.append((self._name, upload))
            return
        try:
            self._fields.append((self._name, b"".join(self._pieces).decode()))
        except UnicodeDecodeError:
            raise BadRequest("a field of the form is not UTF-8") from None
        self._pieces = []


def _headers(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return the headers of a part by their names in lower case; none may be there twice."""
    found = {name.lower(): value for name, value in headers}
    if len(found) != len(headers):
        raise BadRequest("a part of the form has a header twice")
    return found


def _type_of_file(content_type: str) -> str:
    """Return the type of a file; what a client calls it badly is unknown, and no reason to refuse it."""
    try:
        return parse_media_type(content_type).name
    except ValueError:
        return UNKNOWN
