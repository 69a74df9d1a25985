"""How kopf is set up: a watcher and a process frame, and nothing else of what it can do."""

from __future__ import annotations

from typing import Any, Final

import kopf

from opssc_operator.api.group import GROUP

_RETRY_SECONDS: Final = (0.2, 0.3, 0.5, 1, 1, 2, 2, 3, 3, *([5] * 15))
"""About a minute and a half in small steps: an API server that comes back is noticed soon, a lasting 403 ends us."""


class NoEssence(kopf.DiffBaseStorage):
    """Remembers nothing of handled objects: what changed is found by our own store, and kopf's copies cost more."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Say that there is nothing to compare."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Say that nothing was handled before."""
        return None

    def store(self, **_: Any) -> None:
        """Keep nothing."""


def build_options() -> kopf.OperatorSettings:
    """Settings under which kopf writes nothing, needs no cluster-wide right, and stops at once."""
    options = kopf.OperatorSettings()
    options.posting.enabled = False
    options.posting.loggers = False
    options.scanning.disabled = True
    options.persistence.finalizer = f"{GROUP}/operator"
    options.persistence.diffbase_storage = NoEssence()
    options.networking.request_timeout = 30
    options.networking.connect_timeout = 10
    options.networking.error_backoffs = _RETRY_SECONDS
    options.watching.server_timeout = 300
    options.watching.client_timeout = 330
    options.watching.connect_timeout = 10
    options.watching.chunk_size = 500
    options.queueing.idle_timeout = 1.0
    options.queueing.exit_timeout = 0.5
    options.process.ultimate_exiting_timeout = 15
    return options
