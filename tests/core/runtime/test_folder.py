"""The instance directory: private, and no secret in it once the process has ended."""

import json
import os
import shutil
import stat

import pytest

from core.runtime import folder as folders
from core.runtime.folder import Folder


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_look_into_it(folder):
    folder.write({"a": 1}, "Be brief.", "secret")
    for path in (folder.path, folder.box, folder.workspace):
        assert mode(path) == 0o700
    for path in (folder.config, folder.token_file, folder.workspace / "AGENTS.md"):
        assert mode(path) == 0o600


def test_it_holds_what_the_process_is_started_with(folder):
    folder.write({"a": 1}, "Be brief.", "secret")
    assert json.loads(folder.config.read_text()) == {"a": 1}
    assert (folder.workspace / "AGENTS.md").read_text() == "Be brief."
    assert folder.token() == "secret"
    folder.write({"a": 2}, None, "other")
    assert not (folder.workspace / "AGENTS.md").exists()
    assert folder.token() == "other"


def test_a_prompt_that_is_no_text_can_be_written(folder):
    folder.write({}, "half \ud83d", "secret")
    assert (folder.workspace / "AGENTS.md").read_text().startswith("half ")


def test_the_process_cannot_see_what_is_the_workers(folder):
    folder.write({}, "", "secret")
    assert {path.name for path in folder.box.iterdir()} == {
        "workspace",
        "state",
        "home",
        "tmp",
        "openclaw.json",
    }


def test_a_link_that_the_process_left_is_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder.workspace.rmdir()
    folder.workspace.symlink_to(outside)
    with pytest.raises(OSError):
        folder.write({}, "Be brief.", "secret")
    assert list(outside.iterdir()) == []


def test_a_link_that_the_process_left_does_not_lead_to_another_agents_prompt(folder, tmp_path):
    other = Folder(tmp_path / "other")
    other.make()
    other.write({}, "Be brief.", "secret")
    shutil.rmtree(folder.workspace)
    folder.workspace.symlink_to(other.workspace)
    folder.make()
    with pytest.raises(NotADirectoryError):
        folder.write({}, None, "secret")
    assert (other.workspace / "AGENTS.md").exists()


def test_a_file_that_the_process_turned_into_a_link_is_replaced(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    for name in ("AGENTS.md", ".AGENTS.md.new"):
        (folder.workspace / name).symlink_to(outside)
    folder.write({}, "Be brief.", "secret")
    assert outside.read_text() == "untouched"
    assert (folder.workspace / "AGENTS.md").read_text() == "Be brief."
    assert not (folder.workspace / "AGENTS.md").is_symlink()


def test_what_is_secret_goes_with_the_process_and_the_rest_stays(folder):
    folder.write({}, "Be brief.", "secret")
    (folder.box / "state" / "memory").write_text("kept")
    folder.console.write_text("kept")
    folder.pid_file.write_text("1 2")
    folder.forget()
    folder.forget()
    assert folder.token() == ""
    assert sorted(os.listdir(folder.path)) == ["box", "console.log"]
    assert not folder.config.exists()
    assert (folder.box / "state" / "memory").read_text() == "kept"


def test_purged_nothing_stays(folder):
    folder.write({}, None, "secret")
    folder.purge()
    folder.purge()
    assert not folder.path.exists()


def test_the_directories_of_a_host_are_found(folder, tmp_path):
    (tmp_path / "h1" / "lock").touch()
    (tmp_path / "h1" / "link").symlink_to(tmp_path)
    assert dict(folders.all_in(tmp_path / "h1")) == {"a1": Folder(tmp_path / "h1" / "a1")}
    assert dict(folders.all_in(tmp_path / "h2")) == {}


@pytest.mark.parametrize(
    "there", [["box", "import.j1"], ["box.old", "import.j1"], ["box.old", "box"], ["import.j1"]]
)
def test_what_an_import_brought_becomes_the_box_wherever_it_was_cut_off(tmp_path, there):
    folder = Folder(tmp_path / "a1")
    for name in there:
        (folder.path / name).mkdir(parents=True)
        (folder.path / name / ("new" if name == there[-1] else "old")).write_text("x")
    for _ in range(2):
        folder.adopt("j1")
        assert [str(path.relative_to(folder.path)) for path in folder.path.rglob("*")] == ["box", "box/new"]


def test_what_no_import_is_committed_to_is_not_adopted(folder):
    folder.brought("j1").mkdir()
    (folder.box / "mine").write_text("x")
    for job_id in (None, "j2"):
        folder.adopt(job_id)
        assert (folder.box / "mine").exists()
        assert folder.brought("j1").exists()
    folder.make()
    assert not folder.brought("j1").exists()
