"""What a file is, by its content."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from core.drive import media

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def word_file():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("[Content_Types].xml"), "<Types/>")
        archive.writestr(zipfile.ZipInfo("word/document.xml"), "<document/>")
    return file.getvalue()


def of(data, name="", piece=7):
    sample = media.Sample()
    for at in range(0, len(data), piece):
        sample.feed(data[at : at + piece])
    return media.media_type(sample, name)


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (PNG, "photo.txt", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "", "image/jpeg"),
        (b"GIF89a\1\0\1\0", "a.pdf", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "", "image/webp"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a.txt", "application/pdf"),
        (b"%PDF-1.4\n1 0 obj\n", "a.txt", "application/pdf"),
        (b"{\\rtf1\\ansi}", "a.txt", "application/rtf"),
        (gzip.compress(b"abc", mtime=0), "", "application/x-gzip"),
        (b"ID3\3\0\0", "", "audio/mpeg"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "", "video/mp4"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "", "application/x-7z-compressed"),
        (b"SQLite format 3\0\x10\0", "", "application/x-sqlite3"),
        (
            word_file(),
            "letter.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (b"\0\1\2\3 nobody knows", "a.png", "application/octet-stream"),
        (b"\x7fELF\2\1\1\0", "a.txt", "application/octet-stream"),
    ],
)
def test_its_content_says_it_whatever_its_name(data, name, kind):
    assert of(data, name) == kind


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"hello", "", "text/plain"),
        (b"hello", "a.md", "text/markdown"),
        (b"a,b\n1,2\n", "a.CSV", "text/csv"),
        (b'{"a": 1}', "a.json", "application/json"),
        (b"print(1)\n", "a.py", "text/x-python"),
        (b"hello", "a.png", "text/plain"),
        (b"hello", "a.exe", "text/plain"),
        ("Grüße 👋".encode(), "a.nonsense", "text/plain"),
        (b"BM is how this text begins", "a.txt", "text/plain"),
        (b"--- \ntitle: a\n---\n", "a.md", "text/markdown"),
        (b"\x1b[1mbold\x1b[0m", "log", "text/plain"),
        (b"", "", "text/plain"),
        (b"", "a.csv", "text/csv"),
    ],
)
def test_of_a_text_the_name_may_say_which(data, name, kind):
    assert of(data, name) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><title>a</title>", "text/html"),
        (b"  \n<HTML>", "text/html"),
        (b"\xef\xbb\xbf<html>", "text/html"),
        (b"<!-- a --><script>alert(1)</script>", "text/html"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<!-- a -->\n<svg>', "image/svg+xml"),
        (b'<?xml version="1.0"?><feed/>', "application/xml"),
    ],
)
def test_a_text_that_a_browser_would_run_is_called_so(data, kind):
    assert of(data, "a.txt") == kind
    assert not media.is_shown(kind)


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "audio/mpeg", "video/mp4", "text/plain"])
def test_a_browser_may_show_what_it_does_not_run(kind):
    assert media.is_shown(kind)


@pytest.mark.parametrize(
    "kind",
    ["image/svg+xml", "text/html", "text/xml", "application/pdf", "application/octet-stream", "text/css"],
)
def test_a_browser_gets_all_else_as_a_file(kind):
    assert not media.is_shown(kind)


def test_a_character_that_is_cut_off_makes_no_binary_file_of_a_text():
    assert of(b"a" * (media.HEAD - 1) + "é".encode() * 10, piece=4096) == "text/plain"
    assert of(b"a" * 100 + b"\xc3", piece=4096) == "application/octet-stream"


def test_the_end_counts_too():
    """A signature at the end is found in whatever pieces the file went by."""
    image = b"\0" * 50_000 + b"TRUEVISION-XFILE.\0"
    assert {of(image, "a.tga", piece) for piece in (50_000, 999, 10)} == {of(image, "a.tga", 1 << 20)}
    assert of(image, "a.tga") != "application/octet-stream"


@pytest.mark.parametrize(
    ("end", "kind"),
    [(b"", "text/plain"), (b"<svg>", "image/svg+xml"), (b"<html>", "text/html"), (b"<p>", "text/plain")],
)
def test_many_comments_are_divided_in_one_way_alone(end, kind):
    assert of(b"<!---->\n" * 4000 + end, piece=40_000) == kind


def test_what_stands_in_a_comment_does_not_begin_a_file():
    assert of(b"<!-- <svg> <!-- --> <p>") == "text/plain"
    assert of(b"<?xml version='1.0'?>\n<!-- a -- b -->\n<!doctype svg public>\n<svg >") == "image/svg+xml"
