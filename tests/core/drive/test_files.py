"""Records of files: who sees them, how they are listed and changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.clock import utcnow
from core.drive import files
from core.drive.receive import Received
from core.errors import NotFound
from core.ids import new_id
from tests.core.drive.uploads import placed
from tests.naughty import ODDEST

OLD = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def file(db, local):
    """Makes a stored file."""

    def make(path="a.txt", *, kind="text/plain", size=3, at=OLD, state=files.STORED, **place):
        received = Received(path, size, "0" * 64, "staging/one/u.0")
        record = files.born(
            received,
            file_id=new_id(),
            upload_id="u",
            path=path,
            place=placed(db, local, **place),
            created_by="k",
        )
        record |= {"state": state, "media_type": kind, "created_at": at}
        db.drive_files.insert_one(record)
        return record

    return make


def listed(db, workspace="w1", limit=2, **filters):
    items, cursor, found = [], None, None
    while found is None or cursor:
        found, cursor = files.page(db, workspace, limit=limit, cursor=cursor, **filters)
        items += found
    return [item["path"] for item in items]


def test_a_list_is_newest_first_whole_and_of_one_workspace(db, file):
    for n in range(5):
        file(f"{n}", at=OLD + timedelta(days=n))
    file("other", workspace_id="w2")
    assert listed(db) == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize("state", [files.ARRIVING, files.DELETING])
def test_what_is_not_stored_is_not_shown(db, file, state):
    record = file(state=state)
    assert listed(db) == []
    with pytest.raises(NotFound):
        files.get(db, "w1", record["_id"])


def test_filters(db, file):
    file("a/1", kind="image/png", size=1, at=OLD)
    file("a/2", kind="image/jpeg", size=2, at=OLD + timedelta(days=1), agent_id="a2")
    file("ab", kind="text/plain", size=3, at=OLD + timedelta(days=2))
    file("b", kind="text/html", size=4, at=OLD + timedelta(days=3))
    for filters, found in [
        ({"prefix": "a/"}, ["a/2", "a/1"]),
        ({"prefix": "a"}, ["ab", "a/2", "a/1"]),
        ({"prefix": "c"}, []),
        ({"agent_id": "a2"}, ["a/2"]),
        ({"media_type": "image/png"}, ["a/1"]),
        ({"media_type": "image/*"}, ["a/2", "a/1"]),
        ({"min_size": 3}, ["b", "ab"]),
        ({"max_size": 2}, ["a/2", "a/1"]),
        ({"min_size": 2, "max_size": 3}, ["ab", "a/2"]),
        ({"since": OLD + timedelta(days=2)}, ["b", "ab"]),
        ({"until": OLD + timedelta(days=1)}, ["a/2", "a/1"]),
        ({"since": OLD + timedelta(days=1), "until": OLD + timedelta(days=2)}, ["ab", "a/2"]),
        ({"prefix": "a", "media_type": "image/*", "max_size": 1}, ["a/1"]),
    ]:
        assert listed(db, **filters) == found, filters


def test_any_path_is_found_by_its_beginning(db, file):
    for path in ODDEST:
        file(path, at=utcnow())
    for path in ODDEST[1::7]:
        prefix = path[: max(1, len(path) // 2)]
        expected = sorted(other for other in ODDEST if other.startswith(prefix))
        assert sorted(listed(db, limit=200, prefix=prefix)) == expected, prefix


def test_an_agents_key_sees_its_own_and_what_is_for_the_whole_workspace(db, file):
    mine, others = file("mine", agent_id="a1"), file("others", agent_id="a2")
    shared, nobodys = file("shared", agent_id="a2", visibility="workspace"), file("nobodys", agent_id=None)
    assert sorted(listed(db, agents=["a1"])) == ["mine", "shared"]
    assert sorted(listed(db)) == ["mine", "nobodys", "others", "shared"]
    for record in (mine, shared):
        assert files.get(db, "w1", record["_id"], agents=["a1"])
    for record in (others, nobodys):
        with pytest.raises(NotFound):
            files.get(db, "w1", record["_id"], agents=["a1"])


def test_what_an_agents_key_only_sees_it_may_not_change(db, file):
    shared = file(agent_id="a2", visibility="workspace")
    with pytest.raises(NotFound):
        files.own(db, "w1", shared["_id"], agents=["a1"])
    assert files.own(db, "w1", shared["_id"], agents=["a1", "a2"])
    assert files.own(db, "w1", shared["_id"])


def test_another_workspaces_file_is_not_there(db, file):
    record = file(workspace_id="w2")
    for find in (files.get, files.own):
        with pytest.raises(NotFound):
            find(db, "w1", record["_id"])


def test_it_is_renamed_moved_and_opened_to_the_workspace(db, file):
    record = file("a")
    changed = files.change(db, record, {"name": "b", "path": "c/b", "visibility": "workspace"})
    assert (changed["name"], changed["path"], changed["visibility"]) == ("b", "c/b", "workspace")
    assert listed(db, agents=["other"]) == ["c/b"]
    assert listed(db, prefix="c/") == ["c/b"]
    files.change(db, changed, {"visibility": "private"})
    assert listed(db, agents=["other"]) == []
    assert changed["key"] == record["key"]


def test_what_was_deleted_meanwhile_is_not_changed(db, file, meanwhile):
    record = file("a")
    meanwhile.before("update", "drive_files", lambda: files.mark(db, record, files.STORED))
    with pytest.raises(NotFound):
        files.change(meanwhile.db, record, {"name": "b"})
    assert db.drive_files.find_one({})["name"] == "a"


def test_only_one_deletes_a_file(db, file):
    record = file()
    assert files.mark(db, record, files.STORED)
    assert not files.mark(db, record, files.STORED)


def test_what_is_shown_tells_nothing_of_where_it_is_kept(db, file):
    record = file("ä\0b")
    shown = files.public(record)
    assert shown["name"] == "ä\0b"
    assert shown["links"]["download"] == f"/api/v1/drive/download/{record['_id']}"
    assert record["key"] not in str(shown)
    assert not {"key", "staged", "host", "storage", "readers", "state"} & set(shown)
