"""Leadership: never two at a time, and never nobody for long."""

from core.scheduling.leader import Leadership

LEASE = 15


class Two:
    def __init__(self, db):
        self.now = 0.0
        self.a = Leadership(db, "a", lease_s=LEASE, monotonic=lambda: self.now)
        self.b = Leadership(db, "b", lease_s=LEASE, monotonic=lambda: self.now)


def test_one_of_two_leads(db):
    two = Two(db)
    for _ in range(30):
        two.a.hold()
        two.b.hold()
        two.now += 2
        assert not (two.a.held() and two.b.held())
    assert two.a.held() != two.b.held()


def test_another_takes_over_after_a_lease_and_the_first_steps_back(db):
    two = Two(db)
    two.a.hold()
    two.a.hold()
    assert two.a.held()
    taken_at = None
    for _ in range(20):
        if two.b.hold():
            taken_at = two.now
            break
        two.now += 2
    assert taken_at is not None
    assert taken_at > LEASE
    assert not two.a.held()
    assert not two.a.hold()
    assert two.b.held()


def test_a_leader_that_could_not_renew_stops_acting_before_another_can_start(db):
    two = Two(db)
    two.a.hold()
    two.a.hold()
    two.now += LEASE * 0.81
    assert not two.a.held()
    assert not two.b.hold()


def test_a_leader_that_leaves_in_good_order_is_followed_at_once(db):
    two = Two(db)
    two.a.hold()
    two.a.hold()
    two.a.release()
    assert not two.a.held()
    assert two.b.hold()


def test_a_lease_that_is_renewed_just_now_is_not_taken(db, meanwhile):
    two = Two(db)
    two.b.db = meanwhile.db
    two.a.hold()
    two.a.hold()
    two.b.hold()
    two.now += LEASE + 1
    for act in (lambda: None, two.a.hold):  # as it asks for its own, and as it asks for the other's
        meanwhile.before("update", "scheduler", act)
    assert not two.b.hold()
    assert two.a.held()


def test_who_leads_no_more_leaves_the_lease_to_who_does(db):
    two = Two(db)
    two.a.hold()
    two.a.hold()
    two.b.hold()
    two.now += LEASE + 1
    assert two.b.hold()
    two.a.release()
    assert not two.a.hold()
    assert two.b.hold()
