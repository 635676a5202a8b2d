"""Asks one provider as a chat worker does, under gevent: prints the outcomes of its calls as JSON.

`python -m tests.providers.ask_under_gevent URL [CA_BUNDLE]`
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

from core.config import Settings  # noqa: E402
from core.llm import router  # noqa: E402
from core.llm.failures import ProviderError  # noqa: E402
from core.llm.transport import provider_transport  # noqa: E402
from core.llm.types import ChatRequest, Target  # noqa: E402
from tests.providers.hasty import NO_ANSWER  # noqa: E402

if __name__ == "__main__":
    calls = []
    bundle = sys.argv[2] if len(sys.argv) > 2 else None
    settings = Settings(provider_ca_bundle=bundle)
    transport = provider_transport(settings, NO_ANSWER)
    target = Target("openai", "m", "openai", sys.argv[1], "k", "byokey")
    try:
        router.run(
            ChatRequest([{"role": "user", "content": "Hello"}], stream=True),
            [target],
            transport=transport,
            calls=calls,
            sleep=lambda _: None,
        )
    except ProviderError:
        print(json.dumps([call["outcome"] for call in calls]))
