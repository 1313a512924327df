"""The connection to one Asterisk, kept up for as long as the daemon runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

import structlog

from bridge.asterisk import filters, rights, snapshot
from bridge.asterisk.inbox import Connected, Inbox, Item, Lost
from bridge.asterisk.manager import AmiManager, Clock, Response, utc_now
from bridge.asterisk.policy import BackOff, ConnectionState, Deadlines
from bridge.asterisk.rights import Rights
from bridge.asterisk.wire import Fields, RawMessage
from bridge.core.errors import (
    AsteriskError,
    AsteriskRefusedError,
    AsteriskTimeoutError,
    AsteriskUnreachableError,
    LoginRefusedError,
    TornMessageError,
)
from bridge.core.live import NotReady

log = structlog.get_logger()


class AmiConnection:
    """Connects, logs in, asks for what is used, takes a snapshot, hands on events; and again when it is lost.

    `run` is the whole loop and has one owner; `next_batch` has one reader. Actions are sent only while connected, and
    nothing is ever sent a second time. `close` is final.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        secret: str,
        *,
        events: Collection[str] = filters.EVENTS,
        variables: frozenset[str] = frozenset(),
        bound: int = 100_000,
        deadlines: Deadlines | None = None,
        back_off: BackOff | None = None,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Clock = utc_now,
    ) -> None:
        self._host, self._port, self._username, self._secret = host, port, username, secret
        self._where = f"{host}:{port}"
        self._events = tuple(events)
        self._variables = variables
        self._filtered = False
        self._deadlines = deadlines or Deadlines()
        self._back_off = back_off or BackOff()
        self._chance, self._sleep, self._clock = chance, sleep, clock
        self._inbox = Inbox(bound)
        self._manager: AmiManager | None = None
        self._serving = False
        self._closing = asyncio.Event()
        self._failures = 0
        self._said: set[ConnectionState] = set()
        self._booted_at: float | None = None
        self._rights = Rights(may_record=True, missing=(), problem="")
        self.state = ConnectionState.CONNECTING
        self.last_error: AsteriskError | None = None
        self.version = ""
        """Asterisk's, as it said at the last connection."""

    @property
    def waiting(self) -> int:
        """Events that nobody has taken yet."""
        return len(self._inbox)

    @property
    def bound(self) -> int:
        """With so many waiting the connection is dropped."""
        return self._inbox.bound

    def not_ready(self) -> tuple[NotReady, ...]:
        """What keeps us from recording, with the remedy; empty while all is well."""
        where = self._where
        match self.state:
            case ConnectionState.LOGIN_REFUSED:
                return (NotReady("asterisk-login-refused", rights.login_refused(where, self._username)),)
            case ConnectionState.RIGHTS_MISSING:
                return (NotReady("asterisk-rights-missing", str(self.last_error)),)
            case ConnectionState.CONNECTED:
                problem = self._rights.problem
                return (NotReady("asterisk-rights-missing", problem),) if problem else ()
            case _:
                words = str(self.last_error) if self.last_error else f"still connecting to {where}"
                return (NotReady("asterisk-unreachable", words),)

    async def run(self) -> None:
        """Keep the connection up until `close`, or until cancelled. Nothing that Asterisk does ends it."""
        try:
            while not self._closing.is_set():
                await self._unless_closing(self._inbox.room())
                if self._closing.is_set():
                    break
                began = asyncio.get_running_loop().time()
                self.state = ConnectionState.CONNECTING
                try:
                    await self._serve()
                except AsteriskError as error:
                    if self._closing.is_set():
                        break
                    if asyncio.get_running_loop().time() - began >= self._back_off.stable_s:
                        self._failures = 0
                    await self._unless_closing(self._sleep(self._after(error)))
        finally:
            self.close()
            self.state = ConnectionState.CLOSED

    def want_variables(self, names: frozenset[str]) -> None:
        """Have VarSet of these variables sent. Filters cannot be taken back: for more of them we log in anew."""
        more = not names <= self._variables
        self._variables = self._variables | names if self._filtered else names
        if more and self._filtered and self._manager is not None and self._serving:
            self._manager.drop(AsteriskUnreachableError("the rules ask about other variables now: logging in anew"))

    async def want_events(self, names: Collection[str]) -> None:
        """Have these events sent, too, from now on. Filters cannot be taken back, so they come until the connection is
        lost, and after every later login."""
        new = tuple(name for name in names if name not in self._events)
        self._events += new
        manager = self._manager
        if not new or manager is None:
            return
        if not self._serving:
            manager.drop(AsteriskUnreachableError("other events are wanted now: logging in anew"))
            return
        for name in new:
            manager.register_event(name, self._deliver)
        if self._filtered:
            try:
                await filters.ask_for(manager, new, (), self._deadlines.action_s)
            except AsteriskError as error:
                manager.drop(error)  # the next login asks for them

    def close(self) -> None:
        """End `run` and fail what is pending; no connection is made after this."""
        self._closing.set()
        if self._manager is not None:
            self._manager.close()
        self._inbox.close()

    async def next_batch(self, limit: int) -> list[Item]:
        """Up to `limit` items in the order in which Asterisk sent them, at least one; [] only after `close`."""
        return await self._inbox.next_batch(limit)

    async def action(
        self, name: str, fields: Fields, deadline_s: float | None = None, *, must_succeed: bool = True
    ) -> Response:
        """Do one action, at most once.

        Raises InvalidAmiValueError and AsteriskUnreachableError before anything is sent, AsteriskTimeoutError and
        AsteriskUnreachableError also where it is not known whether it was done, and AsteriskRefusedError on an Error
        response unless `must_succeed` is False.
        """
        manager = self._connected()
        return await manager.action(name, fields, deadline_s or self._deadlines.action_s, must_succeed=must_succeed)

    async def list_action(self, name: str, fields: Fields, deadline_s: float | None = None) -> Sequence[RawMessage]:
        """Do an action that answers with a list: all of it, or an error as of `action`."""
        return await self._connected().list_action(name, fields, deadline_s or self._deadlines.list_s)

    async def command(self, line: str, deadline_s: float | None = None) -> Sequence[str]:
        """Do a CLI command; its output's lines. Needs `command` among the user's `write` rights."""
        return await self._connected().command(line, deadline_s or self._deadlines.action_s)

    def _connected(self) -> AmiManager:
        if self._manager is None or not self._serving or self._manager.lost.done():
            raise AsteriskUnreachableError(
                f"Asterisk is not connected ({self.state})" + (f": {self.last_error}" if self.last_error else "")
            )
        return self._manager

    async def _serve(self) -> None:
        """One connection from its making to its end, which is always an AsteriskError."""
        manager = AmiManager(self._host, self._port, self._clock)
        booted: asyncio.Future[RawMessage] = asyncio.get_running_loop().create_future()

        def fully_booted(event: RawMessage) -> None:
            if not booted.done():
                booted.set_result(event)

        for name in self._events:
            manager.register_event(name, self._deliver)
        manager.register_event("FullyBooted", fully_booted)
        manager.register_event("Shutdown", self._shutting_down)
        self._manager = manager
        self._inbox.hold()
        lost: Lost | None = None
        try:
            await manager.connect(self._deadlines.connect_s)
            await manager.login(self._username, self._secret, self._deadlines.login_s)
            self._inbox.release(await self._synchronise(manager, booted))
            self._serving = True
            self.state, self.last_error = ConnectionState.CONNECTED, None
            self._said.clear()
            await self._watch(manager)
        except AsteriskError as error:
            reason = error
            if isinstance(error, AsteriskUnreachableError) and manager.lost.done():
                # That an action was not answered says less than why the connection broke.
                reason = manager.lost.result()
            if self._serving:
                lost = Lost(self._clock(), reason.code, reason.message)
            raise reason from None
        except asyncio.CancelledError:
            if self._serving:
                lost = Lost(self._clock(), "closed", "the connection was closed")
            raise
        finally:
            self._serving = False
            self._manager = None
            manager.close()
            self._inbox.end(lost)

    async def _synchronise(self, manager: AmiManager, booted: "asyncio.Future[RawMessage]") -> Connected:
        action_s = self._deadlines.action_s
        # A login is answered before Asterisk has loaded all modules; FullyBooted follows at once when it has.
        ends: set[asyncio.Future[Any]] = {booted, manager.lost}
        await asyncio.wait(ends, timeout=self._deadlines.boot_s, return_when="FIRST_COMPLETED")
        uptime = booted.result().header("Uptime") if booted.done() else ""
        uptime_s = int(uptime) if uptime.isdecimal() else None
        self._rights = await rights.check(manager, action_s)
        if "CoreShowChannels" in self._rights.missing:
            raise AsteriskRefusedError(self._rights.problem)
        names = (*self._events, "FullyBooted", "Shutdown")
        filtered = self._filtered = await filters.ask_for(manager, names, self._variables, action_s)
        settings = await manager.action("CoreSettings", {}, action_s, must_succeed=False)
        now = self._clock()
        booted_at = now - timedelta(seconds=uptime_s) if uptime_s is not None else None
        taken = await snapshot.take(manager, now, self._deadlines.list_s, self._variables, booted_at)
        connected = Connected(
            at=self._clock(),
            version=settings.header("AsteriskVersion"),
            system_name=settings.header("SystemName"),
            uptime_s=uptime_s,
            restarted=self._restarted(uptime_s),
            may_record=self._rights.may_record,
            missing=self._rights.missing,
            filtered=filtered,
            snapshot=taken,
        )
        self.version = connected.version
        counts = {"channels": len(taken.channels), "filtered": filtered}
        log.info("asterisk-connected", asterisk=self._where, version=connected.version, **counts)
        if not booted.done():
            log.warning("asterisk-not-booted", remedy="if it is up, the manager user lacks `system` in `read`")
        if self._rights.problem:
            log.error("asterisk-rights-missing", problem=self._rights.problem)
        return connected

    async def _watch(self, manager: AmiManager) -> None:
        """Ping until the connection is lost; where rights are missing, look now and then whether they came."""
        loop = asyncio.get_running_loop()
        look_again_at = loop.time() + self._back_off.refused_s
        while True:
            await asyncio.wait({manager.lost}, timeout=self._deadlines.ping_interval_s)
            if manager.lost.done():
                raise manager.lost.result()
            try:
                await manager.ping(self._deadlines.pong_s)
            except AsteriskTimeoutError:
                raise AsteriskUnreachableError(
                    f"Asterisk did not answer a ping within {self._deadlines.pong_s:g} s"
                ) from None
            if self._rights.missing and loop.time() >= look_again_at:
                await self._look_for_rights()
                look_again_at = loop.time() + self._back_off.refused_s

    async def _look_for_rights(self) -> None:
        """A session keeps the rights that it logged in with, so ask in another one; raises where they have changed."""
        second = AmiManager(self._host, self._port, self._clock)
        try:
            await second.connect(self._deadlines.connect_s)
            await second.login(self._username, self._secret, self._deadlines.login_s)
            found = await rights.check(second, self._deadlines.action_s)
        except AsteriskError:
            return
        finally:
            second.close()
        if found != self._rights:
            raise AsteriskUnreachableError("the manager user's rights have changed: logging in anew")

    def _deliver(self, event: RawMessage) -> None:
        if not self._inbox.offer(event) and self._manager is not None:
            log.error(
                "asterisk-events-not-read",
                waiting=len(self._inbox),
                what="the connection is dropped; it is made anew, with a snapshot, when half of them are handled",
            )
            self._manager.drop(AsteriskUnreachableError(f"{len(self._inbox)} events were waiting to be handled"))

    def _shutting_down(self, event: RawMessage) -> None:
        words = "restarting" if event.header("Restart") == "True" else "shutting down"
        if self._manager is not None:
            self._manager.expect_loss(AsteriskUnreachableError(f"Asterisk is {words}"))

    def _restarted(self, uptime_s: int | None) -> bool:
        """Asterisk says whole seconds since its start; two of slack."""
        if uptime_s is None:
            return False
        before, self._booted_at = self._booted_at, asyncio.get_running_loop().time() - uptime_s
        return before is not None and self._booted_at - before > 2

    def _after(self, error: AsteriskError) -> float:
        """Note an error, say it once for each time that we were connected, and tell how long to wait, seconds."""
        self.last_error = error
        if isinstance(error, TornMessageError):
            # At once: a talk that begins meanwhile is in the snapshot.
            self.state = ConnectionState.CONNECTING
            return self._back_off.torn_s
        self._failures += 1
        match error:
            case LoginRefusedError():
                self.state, words = ConnectionState.LOGIN_REFUSED, rights.login_refused(self._where, self._username)
            case AsteriskRefusedError():
                self.state, words = ConnectionState.RIGHTS_MISSING, error.message
            case _:
                self.state, words = ConnectionState.UNREACHABLE, error.message
        if self.state is ConnectionState.UNREACHABLE:
            wait_s = self._back_off.wait_s(self._failures, self._chance())
        else:
            wait_s = self._back_off.refused_wait_s(self._chance())
        first = self.state not in self._said
        self._said.add(self.state)
        level = logging.ERROR if first else logging.DEBUG
        log.log(level, f"asterisk-{self.state}", asterisk=self._where, problem=words, retry_in_s=wait_s)
        return wait_s

    async def _unless_closing(self, waiting: Awaitable[None]) -> None:
        """Wait, but no longer than until `close`."""
        waits = asyncio.ensure_future(waiting)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({waits, closing}, return_when="FIRST_COMPLETED")
        finally:
            for task in (waits, closing):
                task.cancel()
            await asyncio.gather(waits, closing, return_exceptions=True)
