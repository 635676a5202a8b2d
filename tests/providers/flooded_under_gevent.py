"""One user's provider floods, another's answers, both called in one gevent process, as by a chat worker.

`python -m tests.providers.flooded_under_gevent FLOODING_URL GOOD_URL [cancel]` prints the outcomes as JSON:
of the good call, and of the flooded ones. With `cancel` these are ended as soon as the good one is answered.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from core.config import Settings  # noqa: E402
from core.llm import router  # noqa: E402
from core.llm.failures import ProviderError  # noqa: E402
from core.llm.transport import provider_transport  # noqa: E402
from core.llm.types import ChatRequest, Target  # noqa: E402
from tests.providers.hasty import PATIENT  # noqa: E402

BYTES = 10**12


def ask(transport, url, calls):
    target = Target("openai", "m", "openai", url, "k", "byokey")
    request = ChatRequest([{"role": "user", "content": "Hello"}], stream=True)
    try:
        router.run(request, [target], transport=transport, calls=calls, sleep=lambda _: None)
    except ProviderError:
        return


if __name__ == "__main__":
    transport = provider_transport(Settings(provider_answer_bytes=BYTES), PATIENT)
    flooded, good = [], []
    greenlet = gevent.spawn(ask, transport, sys.argv[1], flooded)
    while not any(call["http_status"] for call in flooded) and not greenlet.dead:
        gevent.sleep(0)
    ask(transport, sys.argv[2], good)
    if "cancel" in sys.argv:
        greenlet.kill()
    greenlet.join()
    print(json.dumps([[call["outcome"] for call in calls] for calls in (good, flooded)]))
