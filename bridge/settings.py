"""What an admin sets over HTTP: kept first, then in force."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, cast

from bridge.core.access import Reader
from bridge.core.records import Fact, FactKind
from bridge.core.settings import Settings
from bridge.core.store import AppendFact, PutSettings, Store


class SettingKeeper:
    """The settings in force. `apply` is told of each change, in order, once it is kept."""

    def __init__(
        self, store: Store, current: Settings, apply: Callable[[Settings], None], clock: Callable[[], datetime]
    ) -> None:
        self.current = current
        self._store = store
        self._apply = apply
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known = True
        """Whether what holds is what is kept: a commit that failed may have been kept after all."""
        apply(current)

    async def change(self, changes: Mapping[str, int | None], reader: Reader) -> None:
        """Set some, by their names. On return it is kept, holds, and is a fact. Raises StoreError."""
        async with self._lock:
            settings = replace(self.current, **cast("Mapping[str, Any]", changes))
            if settings == self.current and self._known:
                return
            fact = Fact(
                FactKind.SETTINGS_SET, self._clock(), data=asdict(settings), personal={"identity": reader.identity}
            )
            self._known = False
            await self._store.commit([PutSettings(settings), AppendFact(fact)])
            self.current, self._known = settings, True
            self._apply(settings)
