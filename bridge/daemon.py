"""The daemon: puts everything together, and is the only one who sees it all."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bridge import __version__, presence, rulebook
from bridge.api.app import Dependencies, create_app
from bridge.api.metrics import Metrics
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.contacts import PhoneContacts
from bridge.asterisk.filters import EVENTS
from bridge.asterisk.policy import ConnectionState
from bridge.backlog import Backlog
from bridge.books import Books
from bridge.clock import SteadyClock
from bridge.config import Config, load_config
from bridge.core import outcome
from bridge.core.decisions import StopAll
from bridge.core.errors import BadInputError, RecbridgeError, StoreError
from bridge.core.ids import Identity
from bridge.core.kept import newest
from bridge.core.live import CallNow, NotReady
from bridge.core.messages import CHANNEL_EVENTS, DTMF
from bridge.core.now import calls_now
from bridge.core.people import People
from bridge.core.recorder import Recorder
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.rules_in_force import RulesInForce
from bridge.core.store import AppendFact
from bridge.core.webhooks import MOST as MOST_WEBHOOKS
from bridge.core.webhooks import FormatName, Webhook, wants_channels
from bridge.deleting import Deleting
from bridge.engine import Engine
from bridge.exporting import Exporter, Terms
from bridge.feed import standard
from bridge.feed.dispatcher import Surroundings
from bridge.feed.stream import Hub
from bridge.feed.vonage import Vonage
from bridge.feed.webhooks import Webhooks
from bridge.hands import Hands
from bridge.housekeeping import Housekeeping
from bridge.keeper import Keeper
from bridge.listening import listening
from bridge.lock import alone
from bridge.loop_lag import LoopLag
from bridge.mail import Mailer
from bridge.notify import Notifier
from bridge.numbers import Parts, numbers
from bridge.outbox import Outbox
from bridge.pump import pump
from bridge.rulebook import Rulebook
from bridge.section_numbers import taken_numbers
from bridge.settings import SettingKeeper
from bridge.spool_watch import SpoolWatch
from bridge.storage.call_details import SqliteCallBook
from bridge.storage.coverage import KeptCoverage
from bridge.storage.database import SqliteStore
from bridge.storage.holding import SqliteHolding
from bridge.storage.intents import IntentsFile
from bridge.storage.media import MediaInspector
from bridge.storage.spool import Spool
from bridge.storage.webhooks import SqliteWebhooks

log = structlog.get_logger()

_STATUS_EVERY_S = 1.0
_START_WITHIN_S = 120.0
_STOP_WITHIN_S = 20.0
_STOP_LOOK_S = 0.05
_HOLD_WAIT_S = 10.0
"""Somebody waits for the answer; a batch of deletions is over before."""
_LOCKED_S = 0.4
"""How long another program's lock on the database is waited for: less than a recording is held up (`Keeper.keep`)."""
_UNREACHABLE = "is Asterisk running, and are `enabled`, `bindaddr` and `port` in manager.conf as `asterisk:` says?"


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Daemon:
    """`recbridge run`. Everything it starts, it ends."""

    def __init__(self, config: Config, path: Path, book: Rulebook, refused: BadInputError | None = None) -> None:
        """`path` is of `config`; `refused` says why the files were not taken and `book` is the last good one."""
        self._config = config
        self._path = path
        self._book = book
        self._refused = refused
        self._refused_at = utc_now()
        self._stop = asyncio.Event()
        self._stop_recordings = False
        self._notifier = Notifier()

    @classmethod
    def from_files(cls, path: Path) -> "Daemon":
        """Load configuration, users and rules; in place of bad users or rules the last good ones.

        Raises BadInputError with every problem where there are none of those either.
        """
        config = load_config(path)
        try:
            return cls(config, path, rulebook.read(config))
        except BadInputError as refused:
            book = rulebook.last_good(config.database.parent)
            if book is None:
                raise
            return cls(config, path, book, refused)

    async def run(self, *, stop_recordings: bool = False) -> int:
        """Run until SIGTERM or SIGINT; the exit code. Raises RecbridgeError where another daemon has the database.

        What is recorded then goes on in Asterisk, for the next start to take over, or (`stop_recordings`) is stopped
        and stored before the end.
        """
        self._stop_recordings = stop_recordings
        with alone(self._config.database):
            return await self._run()

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        store = await self._opened()
        inspector = MediaInspector()
        try:
            await self._serve(store, inspector)
        finally:
            await inspector.close()
            await store.close()
        return 0

    async def _opened(self) -> SqliteStore:
        """The store. A large one of an older version takes its time, and would begin anew were it killed for that."""
        waiting = asyncio.create_task(self._ask_for_time(), name="start")
        try:
            return await SqliteStore.open(self._config.database, self._config.systemname, busy_s=_LOCKED_S)
        finally:
            waiting.cancel()

    async def _ask_for_time(self) -> None:
        while True:
            self._notifier.starting(_START_WITHIN_S)
            await asyncio.sleep(_START_WITHIN_S / 4)

    async def _serve(self, store: SqliteStore, inspector: MediaInspector) -> None:
        config = self._config
        spool = Spool(
            config.spool.local,
            str(config.spool.asterisk),
            low_space=config.spool.low_space,
            state=config.database.with_name("spool.json"),
        )
        asterisk = config.asterisk
        clock = SteadyClock(utc_now)
        connection = AmiConnection(
            asterisk.host,
            asterisk.port,
            asterisk.username,
            config.secret,
            events=(*EVENTS, DTMF) if config.dtmf else EVENTS,
            variables=self._book.rules.variables() | outcome.VARIABLES,
            clock=clock,
        )
        contacts = PhoneContacts(
            asterisk.host,
            asterisk.port,
            asterisk.username,
            config.secret,
            may_ask=lambda: connection.state is ConnectionState.CONNECTED,
        )
        hands = Hands(connection, spool, inspector, clock)
        hub = Hub(store)
        # Of their own, so that live streams and callbacks cannot take each other's place.
        callbacks_hub = Hub(store, most=MOST_WEBHOOKS)
        backlog, loop_lag = Backlog(store), LoopLag()
        metrics = Metrics(lambda: numbers(parts))
        intents = IntentsFile(config.database.with_name(f"{config.database.name}.intents"), utc_now)

        def publish(facts: Sequence[NumberedFact]) -> None:
            metrics.count(facts)
            hub.publish(facts)
            callbacks_hub.publish(facts)

        keeper = Keeper(store, intents, Outbox(publish), utc_now)
        await keeper.take_in()
        seen_at = await presence.last_seen(store, config.database)
        calls_until = newest(await store.running_calls())
        if calls_until is not None:  # it may have been set back meanwhile
            clock.go_on_from(max(calls_until, seen_at or calls_until))
        recorder = Recorder(
            self._book.rules,
            People(self._book.directory, config.trunks),
            await taken_numbers(store, config.spool.local, utc_now()),
            flags=await store.user_flags(),
            queue_toggles=config.queue_toggles,
            kept=self._book.kept(utc_now()),
        )
        setting = SettingKeeper(store, await store.settings(), recorder.phones.use, utc_now)
        engine = Engine(recorder, store, keeper, hands.perform, clock, seen_at=seen_at)
        await engine.feed([_started(seen_at)])
        coverages = KeptCoverage(store)
        books = Books(store, coverages, config.database.with_name(f"{config.database.name}.said"), utc_now)
        housekeeping = Housekeeping(
            store,
            config.database,
            config.spool.local,
            systemname=config.systemname,
            keep=config.retention.keeping,
            well=lambda: keeper.well,
            clock=utc_now,
        )

        mailer = Mailer(store, config.mail, config.systemname, utc_now)
        exporter = Exporter(
            store,
            config.database,
            spool,
            Terms(config.systemname, config.retention.exports, config.spool.low_space, config.http.base_url),
            mailer=mailer,
            settings=lambda: setting.current,
            clock=utc_now,
        )

        async def warn(subject: str, text: str) -> None:
            if config.mail is not None and config.mail.admin is not None:
                await mailer.send(config.mail.admin, subject, text)

        async def callbacks_changed(all_of_them: Sequence[Webhook]) -> None:
            recorder.tell_channels = any(map(wants_channels, all_of_them))
            if recorder.tell_channels:
                await connection.want_events(CHANNEL_EVENTS)

        webhooks = Webhooks(
            Surroundings(
                store=SqliteWebhooks(store, config.systemname),
                hub=callbacks_hub,
                formats={FormatName.STANDARD: standard, FormatName.VONAGE: Vonage(config.http.base_url)},
                project_id=config.systemname,
                clock=utc_now,
                jitter=random.random,
                publish=keeper.outbox.put,
                warn=warn,
                changed=callbacks_changed,
                allow_private=config.webhooks.allow_private,
            )
        )

        async def tell(fact: Fact) -> None:
            await engine.feed([AppendFact(fact)])

        disk = SpoolWatch(spool, config.spool.low_space, tell, clock)
        parts = Parts(
            connection=connection,
            engine=engine,
            keeper=keeper,
            intents_bytes=lambda: intents.size_bytes,
            hub=hub,
            books=books,
            webhooks=webhooks,
            housekeeping=housekeeping,
            backlog=backlog,
            mailer=mailer,
            disk=disk,
            low_space=config.spool.low_space,
            loop_lag=loop_lag,
            clock=utc_now,
        )

        def not_ready() -> Sequence[NotReady]:
            return [*self._not_ready(connection, hands, disk), *keeper.not_ready()]

        def warnings() -> Sequence[NotReady]:
            found = (disk.look.warning, housekeeping.warning, mailer.warning, webhooks.warning)
            return [one for one in found if one is not None]

        app = create_app(
            Dependencies(
                store=store,
                audio_root=config.spool.local,
                live=_Live(recorder),
                control=engine,
                supervised=self._supervised,
                not_ready=not_ready,
                hub=hub,
                clock=utc_now,
                warnings=warnings,
                space=lambda: disk.look.space,
                trusted_proxies=config.http.trusted_proxies,
                directory=lambda: self._book.directory,
                rules=self._rules_in_force,
                systemname=config.systemname,
                tenant_uuid=config.tenant_uuid,
                setting=setting,
                webhooks=webhooks,
                exports=exporter,
                coverages=coverages,
                contacts=contacts,
                server_host=asterisk.host,
                keeping=config.retention.keeping,
                keep_exports=config.retention.exports,
                recordings=Deleting(store, config.database, config.spool.local, utc_now),
                call_book=SqliteCallBook(store, config.systemname, utc_now),
                holding=SqliteHolding(store, config.database, _HOLD_WAIT_S),
            ),
            metrics=metrics,
        )
        await disk.look_now()
        await webhooks.start()
        if self._refused is not None:
            self._log_refused(self._refused, "the last good rules are in force")
        else:
            await self._keep_book()
        reload = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
        deciding = asyncio.create_task(engine.run(), name="engine")
        tasks = [
            deciding,
            asyncio.create_task(connection.run(), name="asterisk"),
            asyncio.create_task(pump(connection, engine, clock), name="pump"),
            asyncio.create_task(disk.run(), name="spool"),
            asyncio.create_task(housekeeping.run(), name="housekeeping"),
            asyncio.create_task(books.run(), name="books"),
            asyncio.create_task(hub.keep_up(), name="feed"),
            asyncio.create_task(callbacks_hub.keep_up(), name="callbacks feed"),
            asyncio.create_task(mailer.run(), name="mail"),
            asyncio.create_task(webhooks.run(), name="webhooks"),
            asyncio.create_task(exporter.run(), name="exports"),
            asyncio.create_task(backlog.run(), name="backlog"),
            asyncio.create_task(loop_lag.run(), name="loop lag"),
            asyncio.create_task(presence.keep_noting(config.database, utc_now), name="presence"),
            asyncio.create_task(self._reload_when_told(reload, engine, connection), name="reload"),
        ]
        try:
            async with listening(app, config.http):
                self._notifier.ready()
                count = len(self._book.rules.rules)
                log.info("started", listen=config.http.listen, rules=count, spool=str(config.spool.local))
                await self._watch(tasks, not_ready)
        finally:
            self._notifier.stopping()
            hub.close()
            _, reaching, *others = tasks
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await webhooks.close()
            if self._stop_recordings and not deciding.done():
                await _stop_all(engine)
            # Asterisk may still answer what it has been asked: else a MixMonitor that has just begun counts as failed.
            engine.stop()
            await asyncio.wait({deciding})
            await contacts.close()
            connection.close()
            reaching.cancel()
            await asyncio.gather(reaching, return_exceptions=True)
            await deciding
            with contextlib.suppress(StoreError):  # the next start tells it by when we were seen last
                await store.commit([AppendFact(Fact(FactKind.RECBRIDGE_STOPPED, utc_now()))])
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

    def _not_ready(self, connection: AmiConnection, hands: Hands, disk: SpoolWatch) -> Sequence[NotReady]:
        """Everything that keeps us from recording, with its remedy."""
        reasons = [
            replace(reason, message=f"{reason.message}: {_UNREACHABLE}")
            if reason.code == "asterisk-unreachable"
            else reason
            for reason in connection.not_ready()
        ]
        if disk.look.problem is not None:
            reasons.append(disk.look.problem)
            hands.file_unseen = None  # that is why
        if hands.file_unseen is not None:
            spool = self._config.spool
            words = (
                f"Asterisk wrote a recording below {spool.asterisk}, but nothing appeared in {spool.local}: `spool` in "
                "the configuration has to name one folder, as each of the two sees it, and Asterisk has to be able to "
                "write there (its own log says so if not)"
            )
            reasons.append(NotReady("spool-not-shared", words))
        if self._refused is not None:
            count = len(self._refused.problems)
            words = f"the rules in force are the last good ones: {self._refused.problems[0]}"
            words += f" (and {count - 1} more: `recbridge check`)" if count > 1 else ""
            reasons.append(NotReady("rules-refused", words))
        return reasons

    def _rules_in_force(self) -> RulesInForce:
        refused = self._refused.problems if self._refused is not None else ()
        return RulesInForce(self._book.rules, self._book.rule_files, refused, self._refused_at if refused else None)

    async def _reload_when_told(self, told: asyncio.Event, engine: Engine, connection: AmiConnection) -> None:
        while True:
            await told.wait()
            told.clear()
            self._notifier.reloading()
            try:
                book = await asyncio.to_thread(rulebook.read, self._config)
            except BadInputError as refused:
                self._refused, self._refused_at = refused, utc_now()
                self._log_refused(refused, "the rules stay as they were")
            else:
                self._refused, self._book = None, book
                engine.recorder.use_rules(book.rules, People(book.directory, self._config.trunks), book.kept(utc_now()))
                connection.want_variables(book.rules.variables() | outcome.VARIABLES)
                await self._keep_book()
                count = len(book.rules.rules)
                await engine.feed([AppendFact(Fact(FactKind.RULES_LOADED, utc_now(), data={"rules": count}))])
                log.info("rules-loaded", rules=count, users=len(book.directory.users))
            await asyncio.to_thread(self._compare_config)
            self._notifier.ready()

    def _compare_config(self) -> None:
        """Say where the configuration in force is not the file's any more: a reload takes users and rules alone."""
        try:
            changed = load_config(self._path) != self._config
        except BadInputError as refused:
            for problem in refused.problems:
                log.error("configuration-refused", problem=str(problem), what="the next start would fail")
        else:
            if changed:
                log.warning("configuration-changed", file=str(self._path), what="it counts from the next restart on")

    async def _keep_book(self) -> None:
        state = self._config.database.parent
        try:
            await asyncio.to_thread(rulebook.keep, self._book, state)
        except OSError as error:
            log.error("last-good-rules-not-kept", folder=str(state), problem=str(error))

    @staticmethod
    def _log_refused(refused: BadInputError, what: str) -> None:
        for problem in refused.problems:
            log.error("rules-refused", problem=str(problem), what=what)

    def _supervised(self, identity: Identity) -> frozenset[Identity]:
        return self._book.directory.supervised_by(identity)


async def _stop_all(engine: Engine) -> None:
    """Stop what is recorded; return when all of it is stored, or has failed, or after 20 s."""
    await engine.feed([StopAll(utc_now())])
    try:
        async with asyncio.timeout(_STOP_WITHIN_S):
            while engine.recorder.sectioner.book.open():  # noqa: ASYNC110  # what changes it are many decisions
                await asyncio.sleep(_STOP_LOOK_S)
    except TimeoutError:
        left = [f"{one.record_id}/{one.rule_id}/{one.file}" for one in engine.recorder.sectioner.book.open()]
        log.error("recordings-not-stopped", sections=left, what="the next start takes them over")


class _Live:
    """The recorder's calls, for the API."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def calls_now(self) -> Sequence[CallNow]:
        return calls_now(self._recorder)


def _started(seen_at: datetime | None) -> AppendFact:
    data = {"version": __version__, "previous_seen_at": None if seen_at is None else seen_at.isoformat()}
    return AppendFact(Fact(FactKind.RECBRIDGE_STARTED, utc_now(), data=data))
