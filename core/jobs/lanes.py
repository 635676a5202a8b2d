"""Lanes: the ids that wait in Redis, a lane for each workspace and priority of a queue.

Whoever takes says what it has under way, and gets the next id of the workspace that has least of it. All of
it may be lost: `core.jobs.reconcile` sends again what is queued, and a lane takes an id once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

import redis

from core.clock import utcnow
from core.jobs.model import BACKGROUND, INTERACTIVE

PREFIX = "vutler:lanes"
QUEUES = f"{PREFIX}:queues"
"""The set of the queues to which anything was ever sent."""
SINCE = f"{PREFIX}:since"
"""When the first id was sent to a Redis that knew of none, in seconds of its own clock."""
PRIORITIES = (INTERACTIVE, BACKGROUND)
"""In the order in which they are served."""
SHARE = 4
"""A workspace takes a slot while it has fewer than so many times the free ones."""
BELLS = 32

SEND = """
local known = redis.call('ZADD', KEYS[1], 0, ARGV[2]) == 0
redis.call('ZADD', KEYS[2], 'NX', redis.call('INCR', KEYS[3]), ARGV[1])
if not known then
  redis.call('SADD', KEYS[5], ARGV[4])
  redis.call('SET', KEYS[6], redis.call('TIME')[1], 'NX')
  redis.call('LPUSH', KEYS[4], 1)
  redis.call('LTRIM', KEYS[4], 0, tonumber(ARGV[3]) - 1)
end
"""
"""KEYS: lane, ring, turn, bell, queues, since. ARGV: workspace, member, the most bells, queue. A ring names
the lanes that are not empty, by turn; each bell wakes one who waits."""

DROP = """
redis.call('ZREM', KEYS[1], ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) end
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], ARGV[3]) end
"""
"""KEYS: lane, ring, what is put aside of each scope. ARGV: workspace, member, member as it is put aside."""

TAKE = f"""
local has, free, low = cjson.decode(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local function next_of(ring)
  local chosen, least
  for _, workspace in ipairs(redis.call('ZRANGE', ring, 0, -1)) do
    local n = has[workspace] or 0
    if n < {SHARE} * free and (not least or n < least) then chosen, least = workspace, n end
  end
  return chosen
end
local function one_of(ring)
  local workspace = next_of(ring)
  while workspace do
    local lane = ring .. ':' .. workspace
    local member = redis.call('ZPOPMIN', lane)[1]
    if redis.call('EXISTS', lane) == 0 then redis.call('ZREM', ring, workspace)
    else redis.call('ZADD', ring, redis.call('INCR', KEYS[1]), workspace) end
    if member then return workspace, member end
    workspace = next_of(ring)
  end
end
local found = {{}}
for i = 3, #KEYS do
  local most = i == #KEYS and low or free
  while #found < 3 * tonumber(ARGV[3]) and most > 0 do
    local workspace, member = one_of(KEYS[i])
    if not workspace then break end
    has[workspace], free, most = (has[workspace] or 0) + 1, free - 1, most - 1
    for _, said in ipairs({{i - 2, workspace, member}}) do found[#found + 1] = said end
  end
end
if #found > 0 then return found end
redis.call('DEL', KEYS[2])
return redis.call('EXISTS', unpack(KEYS, 3)) > 0 and 1 or 0
"""
"""KEYS: turn, bell, rings. ARGV: slots by workspace, free slots, how many to take, how many of the last ring.
Three values for each ticket; without one it returns whether any waits."""


@dataclass(frozen=True)
class Ticket:
    """A job that waits: its id, and whose it is."""

    job_id: str
    queue: str
    priority: str
    workspace_id: str
    key_id: str
    agent_id: str

    @property
    def member(self) -> str:
        """As the lane has it. Ids sort by the time they were made, so a lane gives the oldest first."""
        return f"{self.job_id}|{self.key_id}|{self.agent_id}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """What may have a `max_running`, and counts it."""
        whose = {"workspace": self.workspace_id, "key": self.key_id, "agent": self.agent_id}
        return tuple(scope(kind, self.workspace_id, found) for kind, found in whose.items())


def scope(kind: str, workspace_id: str, found: str) -> str:
    """The name of a scope: `<workspace>/<kind>:<id>`."""
    return f"{workspace_id}/{kind}:{found}"


def ticket(job: Mapping[str, Any]) -> Ticket:
    """The ticket of a job, of which `NEEDED` is read."""
    return Ticket(
        job["_id"],
        job["queue"],
        job.get("priority") or INTERACTIVE,
        job["workspace_id"],
        job["created_by"],
        job["agent_id"] or "",
    )


NEEDED = ("queue", "priority", "workspace_id", "created_by", "agent_id")
"""What a projection must have for a job to be sent."""


class Lanes:
    """The lanes of all queues. Each method raises `redis.RedisError` when Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._send = client.register_script(SEND)
        self._take = client.register_script(TAKE)
        self._drop = client.register_script(DROP)

    def send(self, job: Mapping[str, Any]) -> None:
        """Put a job's id into its lane; one that is there already stays where it is."""
        self.put(ticket(job))

    def put(self, waiting: Ticket) -> None:
        """Put a ticket into its lane."""
        ring = ring_of(waiting.queue, waiting.priority)
        turn, bell = _turn(waiting.queue), _bell(waiting.queue)
        keys = [f"{ring}:{waiting.workspace_id}", ring, turn, bell, QUEUES, SINCE]
        self._send(keys, [waiting.workspace_id, waiting.member, BELLS, waiting.queue])

    def drop(self, job: Mapping[str, Any]) -> None:
        """Take out a job's id, put aside or not: it does not wait any more. It need not be there."""
        waiting = ticket(job)
        ring, aside = ring_of(waiting.queue, waiting.priority), f"{waiting.priority}|{waiting.member}"
        parked = [_parked(waiting.queue, name) for name in waiting.scopes]
        lane = f"{ring}:{waiting.workspace_id}"
        self._drop([lane, ring, *parked], [waiting.workspace_id, waiting.member, aside])

    def take(
        self, queue: str, has: Mapping[str, int], free: int, n: int = 1, *, background: int
    ) -> list[Ticket] | Literal["nothing", "not yours"]:
        """Take up to `n` ids, each the next one for one of `free` slots.

        "not yours": what waits may have none of them now. `has`: slots by workspace. `background`: how many
        may be of low priority.
        """
        rings = [ring_of(queue, priority) for priority in PRIORITIES]
        found = self._take([_turn(queue), _bell(queue), *rings], [json.dumps(has), free, n, background])
        if isinstance(found, int):
            return "not yours" if found else "nothing"
        told = iter(found)
        return [
            _ticket(member, queue, PRIORITIES[number - 1], workspace_id.decode())
            for number, workspace_id, member in zip(told, told, told, strict=True)
        ]

    def wait(self, queue: str, seconds: float) -> None:
        """Until something is sent to this queue, or so many seconds have passed."""
        self.client.blpop([_bell(queue)], timeout=seconds)

    def ring(self, queue: str) -> None:
        """Wake one who waits, to look again."""
        self.client.lpush(_bell(queue), 1)

    def park(self, waiting: Ticket, name: str) -> None:
        """Put a ticket aside whose scope `name` has as many running as it may."""
        self.client.zadd(_parked(waiting.queue, name), {f"{waiting.priority}|{waiting.member}": 0})
        self.client.sadd(_parked(waiting.queue), name)

    def unpark(self, queue: str, name: str, n: int = 1) -> int:
        """Put so many tickets of a scope back into their lane; how many there were."""
        found = cast("list[tuple[bytes, float]]", self.client.zpopmin(_parked(queue, name), n))
        for member, _ in found:
            priority, _, rest = member.partition(b"|")
            self.put(_ticket(rest, queue, priority.decode(), name.partition("/")[0]))
        if not found:
            self.client.srem(_parked(queue), name)
        return len(found)

    def parked(self, queue: str) -> dict[str, int]:
        """How many tickets are put aside, by workspace."""
        return {workspace_id: n for workspace_id, (n, _) in self._held(self._aside(queue)).items()}

    def waiting(self, queue: str) -> dict[str, tuple[int, datetime]]:
        """How many ids wait by workspace, put aside or not, and when the oldest of them was made."""
        lanes = [
            (workspace_id.decode(), f"{ring}:{workspace_id.decode()}")
            for ring in (ring_of(queue, priority) for priority in PRIORITIES)
            for workspace_id in cast("list[bytes]", self.client.zrange(ring, 0, -1))
        ]
        return self._held([*lanes, *self._aside(queue)])

    def queues(self) -> list[str]:
        """The queues to which anything was ever sent."""
        return sorted(name.decode() for name in cast("set[bytes]", self.client.smembers(QUEUES)))

    def known_for_s(self) -> int:
        """For how many seconds Redis has known of ids, since it was emptied."""
        since, (now, _) = self.client.get(SINCE), self.client.time()
        return now - int(cast("bytes", since)) if since else 0

    def _aside(self, queue: str) -> list[tuple[str, str]]:
        """The workspace and the key of each set of parked tickets."""
        names = [name.decode() for name in cast("set[bytes]", self.client.smembers(_parked(queue)))]
        return [(name.partition("/")[0], _parked(queue, name)) for name in names]

    def _held(self, lanes: Sequence[tuple[str, str]]) -> dict[str, tuple[int, datetime]]:
        """What these hold, by workspace."""
        asked = self.client.pipeline(transaction=False)
        for _, lane in lanes:
            asked.zcard(lane)
            asked.zrange(lane, 0, 0)
        answers = iter(asked.execute())
        found: dict[str, tuple[int, datetime]] = {}
        for (workspace_id, _), n, first in zip(lanes, answers, answers, strict=True):
            if first:
                before, oldest = found.get(workspace_id, (0, _made(first[0])))
                found[workspace_id] = before + n, min(oldest, _made(first[0]))
        return found


def _ticket(member: bytes, queue: str, priority: str, workspace_id: str) -> Ticket:
    job_id, key_id, agent_id = member.decode().split("|", 2)
    return Ticket(job_id, queue, priority, workspace_id, key_id, agent_id)


def _made(member: bytes) -> datetime:
    """When its job was made: the first 48 bits of a UUID version 7 are milliseconds. Of an id that is none,
    which no code of ours makes: now."""
    try:
        named = member.decode().removeprefix(f"{BACKGROUND}|").removeprefix(f"{INTERACTIVE}|")
        job_id = named.partition("|")[0]
        return datetime.fromtimestamp((uuid.UUID(job_id).int >> 80) / 1000, UTC)
    except (ValueError, OverflowError):
        return utcnow()


def ring_of(queue: str, priority: str) -> str:
    """The key of the set that names the lanes with something in them."""
    return f"{PREFIX}:{queue}:{priority}"


def _turn(queue: str) -> str:
    return f"{PREFIX}:{queue}:turn"


def _bell(queue: str) -> str:
    return f"{PREFIX}:{queue}:bell"


def _parked(queue: str, name: str = "") -> str:
    return f"{PREFIX}:{queue}:parked:{name}" if name else f"{PREFIX}:{queue}:parked"
