"""What is answered to `Range` and to conditional requests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.drive.ranges import Part, asked

MODIFIED = datetime(2026, 11, 26, 10, 0, 0, 123_000, UTC)
SAME, EARLIER, LATER = (f"Thu, 26 Nov 2026 {time} GMT" for time in ("10:00:00", "09:59:59", "10:00:01"))
WHOLE, UNCHANGED, CHANGED, NO_SUCH_PART = Part(200, 0, 10), Part(304, 0, 0), Part(412, 0, 0), Part(416, 0, 0)


def answer(size=10, **headers):
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return asked(said, etag="abc", modified=MODIFIED, size=size)


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", Part(206, 0, 1)),
        ("bytes=2-4", Part(206, 2, 5)),
        ("bytes=2-", Part(206, 2, 10)),
        ("bytes=-3", Part(206, 7, 10)),
        ("bytes=-30", Part(206, 0, 10)),
        ("bytes=5-99", Part(206, 5, 10)),
        ("Bytes = 2 - 4 ", Part(206, 2, 5)),
        ("bytes=9-9", Part(206, 9, 10)),
        ("bytes=10-", NO_SUCH_PART),
        ("bytes=99-100", NO_SUCH_PART),
        ("bytes=-0", NO_SUCH_PART),
        ("bytes=5-2", NO_SUCH_PART),
        ("bytes=" + "9" * 20 + "-", NO_SUCH_PART),
        ("bytes=0-1,3-4", WHOLE),
        ("bytes=" + "9" * 5000 + "-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=٣-", WHOLE),
        ("pages=1-2", WHOLE),
        ("", WHOLE),
    ],
)
def test_a_range(wanted, part):
    assert answer(Range=wanted) == part


def test_an_empty_file_has_no_parts():
    assert answer(0, Range="bytes=0-") == NO_SUCH_PART
    assert answer(0) == Part(200, 0, 0)


@pytest.mark.parametrize(
    ("if_range", "same"),
    [
        ('"abc"', True),
        ('"other"', False),
        ('W/"abc"', False),
        ('"abc", "other"', False),
        (SAME, True),
        (LATER, False),
        (EARLIER, False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_a_part_is_given_only_of_the_file_that_the_client_began_with(if_range, same):
    assert answer(Range="bytes=2-", If_Range=if_range) == (Part(206, 2, 10) if same else WHOLE)


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        ({"If_None_Match": '"abc"'}, UNCHANGED),
        ({"If_None_Match": 'W/"abc"'}, UNCHANGED),
        ({"If_None_Match": '"x", "abc"'}, UNCHANGED),
        ({"If_None_Match": "*"}, UNCHANGED),
        ({"If_None_Match": '"x"'}, WHOLE),
        ({"If_None_Match": "abc"}, WHOLE),
        ({"If_None_Match": '"x"', "If_Modified_Since": LATER}, WHOLE),
        ({"If_None_Match": '"abc"', "Range": "bytes=2-"}, UNCHANGED),
        ({"If_Modified_Since": SAME}, UNCHANGED),
        ({"If_Modified_Since": LATER}, UNCHANGED),
        ({"If_Modified_Since": EARLIER}, WHOLE),
        ({"If_Modified_Since": "nonsense"}, WHOLE),
        ({"If_Modified_Since": "Thu, 26 Nov 99999 10:00:00 GMT"}, WHOLE),
        ({"If_Match": '"abc"'}, WHOLE),
        ({"If_Match": "*"}, WHOLE),
        ({"If_Match": '"x"'}, CHANGED),
        ({"If_Match": 'W/"abc"'}, CHANGED),
        ({"If_Match": '"abc"', "If_Unmodified_Since": EARLIER}, WHOLE),
        ({"If_Unmodified_Since": SAME}, WHOLE),
        ({"If_Unmodified_Since": EARLIER}, CHANGED),
        ({"If_Unmodified_Since": "nonsense"}, WHOLE),
        ({"If_Match": '"abc"', "Range": "bytes=2-4"}, Part(206, 2, 5)),
    ],
)
def test_a_condition(headers, part):
    assert answer(**headers) == part
