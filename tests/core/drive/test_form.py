"""Forms as they arrive: whole, in pieces, and broken."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.drive import form
from core.drive.form import Begin, Field
from core.errors import Invalid, TooLarge

END = b"--b--\r\n"


def part(name, value, *, filename=None, header=b""):
    said = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return b"--b\r\nContent-Disposition: " + said.encode() + b"\r\n" + header + b"\r\n" + value + b"\r\n"


WHOLE = (
    part("path", "a/ä".encode())
    + part("file", b"one\r\n--au\r\n--", filename="1.txt", header=b"Content-Type: text/plain\r\n")
    + part("file", b"", filename="")
    + part("visibility", b"workspace")
    + END
)


def told(data, piece=1 << 16):
    """The events of a form, the bytes of each file put together. As a web process sends it pieces: two pieces
    of memory are used in turn, and what is told of a file is read when the next event is there."""
    found, unread = [], None
    for event in itertools.chain(form.events("b", in_turn(data, piece)), [None]):
        if unread:
            found.append(found.pop() + bytes(unread) if isinstance(found[-1], bytes) else bytes(unread))
        unread = event if isinstance(event, bytes | memoryview) else None
        if unread is None:
            found.append(event)
    return found[:-1]


def in_turn(data, piece):
    memory = itertools.cycle((bytearray(piece), bytearray(piece)))
    for at in range(0, len(data), piece):
        part, whole = data[at : at + piece], next(memory)
        if len(part) < piece:
            yield part
        else:
            whole[:] = part
            yield whole


@given(st.integers(1, len(WHOLE)))
def test_a_form_is_the_same_in_whatever_pieces_it_comes(piece):
    assert told(WHOLE, piece) == [
        Field("path", "a/ä"),
        Begin("file", "1.txt"),
        b"one\r\n--au\r\n--",
        None,
        Begin("file", ""),
        None,
        Field("visibility", "workspace"),
    ]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_come_through(data, piece):
    if b"\r\n--b" in b"\r\n" + data:
        return
    assert told(part("file", data, filename="x") + END, piece) == [
        Begin("file", "x"),
        *([data] if data else []),
        None,
    ]


def test_a_form_that_is_cut_off_is_broken():
    for cut in range(1, len(WHOLE) - 3):
        with pytest.raises(Invalid):
            told(WHOLE[:cut])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        WHOLE.replace(b"--b", b"--c"),
        WHOLE.replace(b"form-data", b"attachment"),
        WHOLE.replace(b'name="path"', b""),
        WHOLE.replace(b"Content-Disposition", b"Content-Nonsense"),
        WHOLE.replace(b"Content-Disposition:", b"Content-Disposition"),
        WHOLE.replace(b"\r\n", b"\n"),
        part("path", b"\xff") + END,
        part("file", b"abc", filename="x", header=b"Content-Length: 2\r\n") + END,
        part("file", b"abc", filename="x", header=b"Content-Length: 4\r\n") + END,
        b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\r\n' + END,
    ],
)
def test_a_broken_form_is_refused(data):
    with pytest.raises(Invalid) as refused:
        told(data)
    assert refused.value.code == "malformed"


def test_a_part_that_says_its_length_comes_through_in_whatever_pieces():
    file = part("file", b"x" * 500, filename="x", header=b"Content-Length: 500\r\n")
    assert told(file + END, 100) == [Begin("file", "x"), b"x" * 500, None]


@pytest.mark.parametrize(
    "data",
    [
        part("a", b"b") * 10_000 + END,
        part("a", b"b" * (form.LONGEST_FIELD + 1)) + END,
        part("a", b"b", header=b"X: " + b"y" * form.LONGEST_HEADER + b"\r\n") + END,
        part("a", b"b", header=b"X: y\r\n" * 20) + END,
        b"x" * (form.MOST_AROUND + (1 << 17)) + b"\r\n" + WHOLE,
        WHOLE + b"x" * (form.MOST_AROUND + (1 << 17)),
    ],
    ids=["fields", "field", "header", "headers", "before", "after"],
)
def test_a_form_that_holds_too_much_is_refused(data):
    with pytest.raises(TooLarge):
        told(data)


def test_a_long_name_comes_through():
    name = "ä" * 8000
    assert told(part("file", b"", filename=name) + END, 1000)[0] == Begin("file", name)


def test_what_stands_around_a_form_is_nothing():
    assert told(b"preamble\r\n" + part("a", b"b") + END + b"epilogue" * 10_000, 999) == [Field("a", "b")]


@pytest.mark.parametrize(
    ("content_type", "between"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; boundary="a b;c"', "a b;c"),
        ("Multipart/Form-Data; charset=utf-8; Boundary=abc; more=1", "abc"),
        (
            "multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ],
)
def test_the_boundary_is_read(content_type, between):
    assert form.boundary(content_type) == between


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("", "unsupported_media_type"),
        ("application/json", "unsupported_media_type"),
        ("application/octet-stream", "unsupported_media_type"),
        ("multipart/form-data", "malformed"),
        ("multipart/form-data; boundary=", "malformed"),
        ('multipart/form-data; boundary=""', "malformed"),
    ],
)
def test_a_body_that_is_no_form_is_refused(content_type, code):
    with pytest.raises(Invalid) as refused:
        form.boundary(content_type)
    assert refused.value.code == code
