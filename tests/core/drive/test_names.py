"""Names in headers: how clients write them, and how we do."""

from __future__ import annotations

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.fields import RequestField
from werkzeug.http import parse_options_header

from core.drive.names import LONGEST, checked, disposition, of_part
from core.errors import Invalid
from tests.naughty import ODDEST

AMBIGUOUS = ("%0D", "%0A", "%22")
"""These cannot be told from what they stand for."""


def as_today(name):
    """WHATWG, "multipart form data"."""
    name = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    return f'form-data; name="file"; filename="{name}"'


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('form-data; name="path"', ("path", None)),
        ('form-data; name="file"; filename=""', ("file", "")),
        ('form-data; name="file"; filename="a b.txt"', ("file", "a b.txt")),
        ('form-data; name="file"; filename="a%22b%0D%0A.txt"', ("file", 'a"b\r\n.txt')),
        ('form-data; name="file"; filename="C:\\temp\\a.txt"', ("file", "C:\\temp\\a.txt")),
        ('form-data; name="file"; filename="a\\"', ("file", "a\\")),
        ('form-data; name="file"; filename="a\\"b\\\\c.txt"', ("file", 'a"b\\c.txt')),
        ("form-data; name=file; filename=a.txt", ("file", "a.txt")),
        ('form-data; filename="a.txt"; name="file"', ("file", "a.txt")),
        ('FORM-DATA;name="file";FileName="a.txt"', ("file", "a.txt")),
        ("form-data; name=\"file\"; filename*=utf-8''%e2%82%ac%2522.txt", ("file", "€%22.txt")),
        ('form-data; name="file"; filename="EUR"; filename*=UTF-8\'en\'%E2%82%AC', ("file", "€")),
        ('form-data; name="file"; filename="a"; filename*=nonsense\'\'%E2%82%AC', ("file", "a")),
        ('form-data; name="a;b"; filename="c;d=\\"e\\""', ("a;b", 'c;d="e"')),
    ],
)
def test_a_part_names_its_field_and_its_file(header, found):
    assert of_part(header) == found


@pytest.mark.parametrize("header", ["", "form-data", 'attachment; name="file"', 'form-data; filename="a"'])
def test_a_part_without_a_field_is_refused(header):
    with pytest.raises(Invalid):
        of_part(header)


def test_a_name_that_is_not_text_is_refused():
    with pytest.raises(Invalid):
        of_part("form-data; name=\"file\"; filename*=utf-8''%ff")


def test_any_name_comes_through_as_browsers_write_it():
    for name in (name for name in ODDEST if not any(text in name for text in AMBIGUOUS)):
        assert of_part(as_today(name)) == ("file", name)


def test_any_name_comes_through_as_rfc_5987_has_it():
    for name in ODDEST:
        assert of_part(f"form-data; name=\"file\"; filename*=UTF-8''{quoted(name)}") == ("file", name)


def test_any_name_comes_through_as_pythons_requests_write_it():
    for name in ODDEST:
        field = RequestField(name="file", data=b"", filename=name)
        field.make_multipart()
        assert of_part(field.headers["Content-Disposition"]) == ("file", name)


def quoted(name):
    return "".join(f"%{byte:02X}" for byte in name.encode())


@pytest.mark.parametrize("attached", [True, False])
def test_any_name_is_written_so_that_clients_read_it(attached):
    for name in ODDEST:
        said = disposition(name, attached=attached)
        assert said.isascii()
        assert said.isprintable()
        assert parse_options_header(said)[1]["filename"] == name
        how, _, rest = said.partition(";")
        assert how == ("attachment" if attached else "inline")
        assert unquote(rest.partition("filename*=UTF-8''")[2]) == name
    assert disposition("", attached=True) == 'attachment; filename=""'


@given(st.text())
def test_a_browser_reads_any_name(name):
    message = Message()
    message["Content-Disposition"] = disposition(name.encode(errors="replace").decode(), attached=True)
    assert message.get_filename() is not None


def test_the_plain_name_is_a_name_alone():
    assert 'filename="passwd"' in disposition("../../etc/passwd", attached=True)


def test_a_name_has_a_longest():
    assert checked("é" * (LONGEST // 2), "/name")
    with pytest.raises(Invalid):
        checked("é" * (LONGEST // 2) + "a", "/name")
