"""Whoever started the whole of Vutler ends its agents too."""

import signal

from core.runtime import ending, marks, processes


def test_all_of_them_are_asked_to_end_and_killed_when_they_do_not(world):
    polite, deaf = world.started(), world.started("deaf child leaver")
    assert ending.end_all(world.settings.data_dir, grace_s=1) == 2
    for agent in (polite, deaf):
        assert world.alive(agent) == set()
        assert world.folder(agent).token() == ""
        assert not world.folder(agent).config.exists()


def test_who_ends_in_time_is_not_killed(world):
    agent = world.started()
    child = world.keeper(agent).body.child
    ending.end_all(world.settings.data_dir)
    assert child.wait(60) == 0


def test_one_that_nothing_ends_is_left_behind(world, monkeypatch):
    agent = world.started("deaf")
    with monkeypatch.context() as stuck:
        stuck.setattr(ending, "KILLED_WITHIN_S", 0.2)
        stuck.setattr(signal, "pidfd_send_signal", lambda *_: None)  # as in state D
        assert ending.end_all(world.settings.data_dir, grace_s=0) == 1
    assert world.alive(agent)


def test_processes_of_another_data_directory_live_on(world, tmp_path):
    agent = world.started()
    assert ending.end_all(tmp_path / "elsewhere") == 0
    assert processes.alive(world.process(agent))


def test_agents_of_a_host_that_is_not_ours_keep_no_others_from_their_end(world):
    agent = world.started()
    marks.of_host(world.host.root.parent / "h2")
    (world.host.root.parent / "h2" / marks.KEY_FILE).chmod(0o666)
    (world.host.root.parent / "a file").touch()
    assert ending.end_all(world.settings.data_dir) == 1
    assert world.alive(agent) == set()
