"""The daemon: puts everything together, and is the only one who sees it all."""

import asyncio
import contextlib
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from aiohttp import web

from bridge.api.app import Dependencies, create_app, runner
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected, Item, Lost
from bridge.config import Config, load_config
from bridge.core.errors import RecbridgeError
from bridge.core.ids import Identity
from bridge.core.live import CallNow, NotReady
from bridge.core.messages import parse
from bridge.core.now import calls_now
from bridge.core.people import Directory, People
from bridge.core.recorder import Recorder
from bridge.core.records import Fact, FactKind
from bridge.core.rules import RuleSet
from bridge.core.store import AppendFact
from bridge.engine import Engine, Input
from bridge.feed.stream import Hub
from bridge.files import read_rules, read_users
from bridge.hands import Hands
from bridge.notify import Notifier
from bridge.storage.database import SqliteStore
from bridge.storage.media import MediaInspector
from bridge.storage.spool import Spool

log = structlog.get_logger()

_SPOOL_EVERY_S = 5.0
_STATUS_EVERY_S = 1.0
_BATCH = 1000
_LONGEST_CALL = timedelta(days=7)
"""Calls that have run longer than this when the daemon is started begin to count their sections anew."""


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Daemon:
    """`recbridge run`. Everything it starts, it ends."""

    def __init__(self, config: Config, rules: RuleSet, directory: Directory) -> None:
        self._config = config
        self._rules = rules
        self._directory = directory
        self._spool_problem: NotReady | None = None
        self._stop = asyncio.Event()
        self._notifier = Notifier()

    @classmethod
    def from_files(cls, path: Path) -> "Daemon":
        """Load configuration, users and rules. Raises BadInputError with every problem."""
        config = load_config(path)
        directory = read_users(config.users)
        return cls(config, read_rules(config.rules, directory), directory)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        store = await SqliteStore.open(self._config.database, self._config.systemname)
        inspector = MediaInspector()
        try:
            await self._serve(store, inspector)
        finally:
            await inspector.close()
            await store.close()
        return 0

    async def _serve(self, store: SqliteStore, inspector: MediaInspector) -> None:
        config = self._config
        spool = Spool(config.spool.local, str(config.spool.asterisk))
        asterisk = config.asterisk
        connection = AmiConnection(
            asterisk.host, asterisk.port, asterisk.username, config.secret, variables=self._rules.variables()
        )
        hands = Hands(connection, spool, inspector, utc_now)
        hub = Hub(store)
        files = await store.file_numbers(utc_now() - _LONGEST_CALL)
        recorder = Recorder(self._rules, People(self._directory, config.trunks), files)
        engine = Engine(recorder, store, hub.publish, hands.perform, utc_now)

        def not_ready() -> Sequence[NotReady]:
            return self._not_ready(connection, hands, engine)

        app = create_app(
            Dependencies(
                store=store,
                audio_root=config.spool.local,
                live=_Live(recorder),
                supervised=self._supervised,
                not_ready=not_ready,
                hub=hub,
                clock=utc_now,
            )
        )
        await self._look_at_spool(spool)
        deciding = asyncio.create_task(engine.run(), name="engine")
        tasks = [
            deciding,
            asyncio.create_task(connection.run(), name="asterisk"),
            asyncio.create_task(_pump(connection, engine), name="pump"),
            asyncio.create_task(self._keep_looking_at_spool(spool), name="spool"),
        ]
        try:
            async with _listening(app, config):
                self._notifier.ready()
                log.info(
                    "started", listen=config.http.listen, rules=len(self._rules.rules), spool=str(config.spool.local)
                )
                await self._watch(tasks, not_ready)
        finally:
            self._notifier.stopping()
            hub.close()
            connection.close()
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks[1:], return_exceptions=True)
            engine.stop()
            await deciding
            log.info("stopped")

    async def _watch(self, tasks: Sequence[asyncio.Task[None]], not_ready: Callable[[], Sequence[NotReady]]) -> None:
        """Until told to stop, or until a task that must not end has ended: then its error is raised."""
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        said: Sequence[NotReady] | None = None
        try:
            while not stopping.done():
                await asyncio.wait({stopping, *tasks}, timeout=_STATUS_EVERY_S, return_when="FIRST_COMPLETED")
                for task in tasks:
                    if task.done():
                        task.result()
                        raise RecbridgeError(f"the task {task.get_name()} has ended")
                self._notifier.watchdog()
                reasons = not_ready()
                if reasons != said:
                    said = reasons
                    self._notifier.status("; ".join(reason.message for reason in reasons) or "ready")
        finally:
            stopping.cancel()

    def _not_ready(self, connection: AmiConnection, hands: Hands, engine: Engine) -> Sequence[NotReady]:
        """Everything that keeps us from recording, with its remedy."""
        reasons = list(connection.not_ready())
        if self._spool_problem is not None:
            reasons.append(self._spool_problem)
        if hands.file_unseen is not None:
            spool = self._config.spool
            words = (
                f"Asterisk wrote a recording below {spool.asterisk}, but nothing appeared in {spool.local}: `spool` in "
                "the configuration has to name one folder, as each of the two sees it, and Asterisk has to be able to "
                "write there (its own log says so if not)"
            )
            reasons.append(NotReady("spool-not-shared", words))
        if engine.store_error is not None:
            reasons.append(NotReady("database-not-written", engine.store_error.message))
        return reasons

    def _supervised(self, identity: Identity) -> frozenset[Identity]:
        return self._directory.supervised_by(identity)

    async def _look_at_spool(self, spool: Spool) -> None:
        problem = await asyncio.to_thread(spool.problem)
        if problem is not None and problem != self._spool_problem:
            log.error("spool", code=problem.code, problem=problem.message)
        self._spool_problem = problem

    async def _keep_looking_at_spool(self, spool: Spool) -> None:
        while True:
            await asyncio.sleep(_SPOOL_EVERY_S)
            await self._look_at_spool(spool)


class _Live:
    """The recorder's calls, for the API."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def calls_now(self) -> Sequence[CallNow]:
        return calls_now(self._recorder)


async def _pump(connection: AmiConnection, engine: Engine) -> None:
    """From the connection's queue into the engine's, in order."""
    while True:
        batch = await connection.next_batch(_BATCH)
        if not batch:
            return
        await engine.feed([one for item in batch for one in _inputs(item)])


def _inputs(item: Item) -> Sequence[Input]:
    if isinstance(item, Connected):
        data = {"version": item.version, "restarted": item.restarted, "channels": len(item.snapshot.channels)}
        return (AppendFact(Fact(FactKind.ASTERISK_CONNECTED, item.at, data=data)), item.snapshot)
    if isinstance(item, Lost):
        data = {"code": item.code, "reason": item.reason}
        return (AppendFact(Fact(FactKind.ASTERISK_LOST, item.at, data=data)),)
    event = parse(item, item.received_at)
    return (event,) if event is not None else ()


@contextlib.asynccontextmanager
async def _listening(app: web.Application, config: Config) -> AsyncIterator[None]:
    """The API, while it lasts."""
    tls: ssl.SSLContext | None = None
    if config.http.tls is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            tls.load_cert_chain(config.http.tls.certificate, config.http.tls.key)
        except (OSError, ssl.SSLError) as error:
            raise RecbridgeError(
                f"http: tls: {error}: certificate and key have to be PEM files that we may read"
            ) from error
    serving = runner(app)
    await serving.setup()
    try:
        host, port = config.http.address
        try:
            await web.TCPSite(serving, host, port, ssl_context=tls).start()
        except OSError as error:
            words = f"http: listen: {config.http.listen}: {error.strerror}; is another recbridge running?"
            raise RecbridgeError(words) from error
        yield
    finally:
        await serving.cleanup()
