"""A telephone network on loopback: a PBX under test, and a second Asterisk that plays its phones and the carrier.

async with Network() as net:
    await net.behave("bob", "answer", after_s=1)
    call = await net.call("alice", "102")
    await call.answered()
    await net.press("alice", "*3")
    await call.hangup()
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.network import config, tones
from tests.network.ami import Ami, AmiError, Message, Predicate
from tests.network.asterisk import Asterisk
from tests.network.call import Call
from tests.network.capture import capture
from tests.network.chroot import ensure_chroot
from tests.network.ports import PortBlock

Behaviour = Literal["answer", "ring", "busy", "reject"]


class Network:
    """The two Asterisks and what can be done with them; an async context manager.

    `start`/`stop` (processes) are plain functions and `connect`/`disconnect` (AMI) belong to one event loop, so that
    processes may outlive a loop. Call `start` in a thread that lives as long as the network. A `work` folder that is
    given is kept, with its logs and recordings; one of its own goes at `stop`. `pbx_extra` and `phones_extra` append
    text to configuration files (`{"extensions.conf": …}`).
    """

    def __init__(
        self,
        *,
        suite: str = "sid",
        work: Path | None = None,
        systemname: str | None = None,
        pbx_extra: dict[str, str] | None = None,
        phones_extra: dict[str, str] | None = None,
    ) -> None:
        self._suite = suite
        self._systemname = systemname
        self._extra = (pbx_extra, phones_extra)
        self._own = work is None
        self._ids = itertools.count(1)
        self._block: PortBlock | None = None
        self.asterisks: tuple[Asterisk, ...] = ()
        self.work = work or Path(tempfile.mkdtemp(prefix="recbridge-net-"))
        self.spool = self.work / "spool"
        self.bridge_user, self.bridge_secret = config.BRIDGE_USER, config.BRIDGE_SECRET

    # -- processes

    def start(self) -> None:
        """Start both Asterisks and wait until they are booted. NoAsteriskError, AsteriskError."""
        self.launch(ensure_chroot(self._suite))
        self.wait_ready()

    def launch(self, chroot: Path) -> None:
        """Write the configuration and start both processes, without waiting."""
        self._block = PortBlock()
        self.ports = self._block.ports
        pbx, phones = self.work / "pbx", self.work / "phones"
        pbx_extra, phones_extra = self._extra
        config.write(pbx, config.pbx(pbx, self.ports, systemname=self._systemname), pbx_extra)
        config.write(phones, config.phones(phones, self.ports), phones_extra)
        for sound, length_s in (("music", 10.0), ("announcement", 2.0)):
            folder = pbx / "sounds" / sound if sound == "music" else pbx / "sounds"
            tones.write_wav(folder / f"{sound}.wav", tones.hum(sound, length_s))
        self.spool.mkdir(parents=True, exist_ok=True)
        self.asterisks = (Asterisk("pbx", chroot, pbx, shared=self.spool), Asterisk("phones", chroot, phones))
        for asterisk in self.asterisks:
            asterisk.launch()

    def wait_ready(self, deadline_s: float = 60) -> None:
        """Return when both are fully booted; AsteriskError."""
        for asterisk in self.asterisks:
            asterisk.wait_ready(deadline_s)

    def stop(self) -> None:
        """End both processes; the work folder goes too unless it was given."""
        for asterisk in self.asterisks:
            asterisk.stop()
        if self._block is not None:
            self._block.close()
        if self._own:
            shutil.rmtree(self.work, ignore_errors=True)

    def cli(self, command: str) -> str:
        """Run a console command on the PBX (it blocks for some 30 ms)."""
        return self.asterisks[0].cli(command)

    # -- connections

    async def __aenter__(self) -> Self:
        try:
            self.launch(await asyncio.to_thread(ensure_chroot, self._suite))
            await asyncio.to_thread(self.wait_ready)
            await self.connect()
        except BaseException:
            await asyncio.to_thread(self.stop)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.disconnect()
        finally:
            await asyncio.to_thread(self.stop)

    async def connect(self) -> None:
        """Log in to both, for the running event loop; the phones all answer at once again."""
        self.pbx = await Ami.connect(self.ports.pbx_ami, config.TEST_USER, config.TEST_SECRET)
        try:
            self.phones = await Ami.connect(self.ports.phones_ami, config.TEST_USER, config.TEST_SECRET)
        except BaseException:
            await self.pbx.close()
            raise
        for name in (*config.PHONES, "outside"):
            await self.behave(name)

    async def disconnect(self) -> None:
        """Hang up whatever still runs and log out."""
        try:
            await self.idle(hangup=True)
        finally:
            await self.phones.close()
            await self.pbx.close()

    @property
    def pbx_ami_port(self) -> int:
        """The port of the PBX's manager interface on 127.0.0.1."""
        return self.ports.pbx_ami

    # -- what phones do

    async def behave(self, party: str, behaviour: Behaviour = "answer", *, after_s: float = 0.2) -> None:
        """What a phone, or the outside party, does with the calls that come from now on; `after_s` is for answer."""
        await self.phones.action("Setvar", Variable=f"DO_{party}", Value=behaviour)
        await self.phones.action("Setvar", Variable=f"AFTER_{party}", Value=str(after_s))

    async def call(self, party: str, number: str, *, ring_s: float = 60) -> Call:
        """A phone dials a number; it hums as soon as somebody answers."""
        return await self._originate(party, f"PJSIP/{number}@as-{party}", ring_s)

    async def inbound(
        self,
        number: str = "+4915112345",
        *,
        name: str = "",
        did: str = config.SUPPORT_DID,
        party: str = "outside",
        ring_s: float = 60,
    ) -> Call:
        """The carrier brings a call from `number` to `did`; `party` (of OUTSIDERS) says which tone the caller hums."""
        caller = f'"{name}" <{number}>' if name else f"<{number}>"
        return await self._originate(party, f"PJSIP/{did}@as-carrier", ring_s, caller)

    async def press(self, party: str, digits: str, *, each_s: float = 0.12, pause_s: float = 0.1) -> None:
        """Press keys on the party's newest leg (RFC 4733); AmiError where it has none."""
        leg = await self._newest(party)
        for digit in digits:
            await self.phones.action(
                "PlayDTMF", Channel=leg, Digit=digit, Duration=str(round(each_s * 1000)), deadline_s=20
            )
            await asyncio.sleep(each_s + pause_s)

    async def falls_silent(self, party: str, how: Literal["silence", "nothing"]) -> None:
        """The party's newest leg sends exact digital silence from now on, as a muted phone may, or nothing at all."""
        leg = await self._newest(party)
        await self.phones.action("Redirect", Channel=leg, Context="hum", Exten=how, Priority="1")

    async def hums(self, party: str) -> None:
        """The party is heard again."""
        leg = await self._newest(party)
        await self.phones.action("Redirect", Channel=leg, Context="hum", Exten=party, Priority="1")

    async def hangup(self, party: str) -> None:
        """The party hangs up its newest leg, as caller or callee; AmiError where it has none."""
        leg = await self._newest(party)
        began = self.phones.mark
        await self.phones.action("Hangup", Channel=leg)
        await self.phones.wait_for(lambda event: event["Event"] == "Hangup" and event["Uniqueid"] == leg, since=began)

    async def talking(self, party: str, *, deadline_s: float = 20) -> None:
        """Return when the party has a leg that is up."""
        await self._until(
            lambda legs: any(leg["ChannelStateDesc"] == "Up" and leg["AccountCode"] == party for leg in legs),
            deadline_s,
            f"{party} is not talking",
        )

    async def ringing(self, party: str, *, deadline_s: float = 20) -> None:
        """Return when the party has an incoming leg that rings."""
        await self._until(
            lambda legs: any(
                leg["ChannelStateDesc"] in ("Ring", "Ringing") and leg["AccountCode"] == party for leg in legs
            ),
            deadline_s,
            f"{party} is not ringing",
        )

    # -- what the PBX does

    async def channels(self) -> list[Message]:
        """The PBX's channels now, as CoreShowChannels lists them."""
        return await self.pbx.listing("CoreShowChannels")

    async def idle(self, *, hangup: bool = False, deadline_s: float = 20) -> None:
        """Return when neither Asterisk has a channel left; with `hangup`, after hanging up all of them."""
        async with asyncio.timeout(deadline_s):
            while True:
                left = 0
                for ami in (self.phones, self.pbx):
                    channels = await ami.listing("CoreShowChannels")
                    left += len(channels)
                    if hangup and channels:
                        await ami.action("Hangup", Channel="/.*/")
                if not left:
                    return
                await asyncio.sleep(0.05)

    async def wait_for_event(
        self, predicate: Predicate, *, deadline_s: float = 20, since: int | None = None
    ) -> Message:
        """The first PBX event that fulfils the predicate, since `net.pbx.mark` or else since `connect`; AmiError."""
        return await self.pbx.wait_for(predicate, deadline_s=deadline_s, since=since or 0)

    def capture(self, path: Path) -> AbstractAsyncContextManager[None]:
        """Save what the PBX's AMI says during the body, to a session with all rights (see `capture.capture`)."""
        return capture(self.pbx_ami_port, path)

    # -- inside

    async def _originate(self, party: str, channel: str, ring_s: float, caller: str = "") -> Call:
        # Our own uniqueid, unique over this network's life, tells this call's events from all others.
        call = Call(party, f"{party}-{next(self._ids)}", self.phones, self.phones.mark)
        await self.phones.action(
            "Originate",
            Channel=channel,
            ChannelId=call.uniqueid,
            Context="hum",
            Exten=party,
            Priority="1",
            Account=party,
            Timeout=str(round(ring_s * 1000)),
            Async="true",
            CallerID=caller,
        )
        return call

    async def _legs(self) -> list[Message]:
        return await self.phones.listing("CoreShowChannels")

    async def _newest(self, party: str) -> str:
        born = [event["Uniqueid"] for event in self.phones.events() if event["Event"] == "Newchannel"]
        legs = [leg["Uniqueid"] for leg in await self._legs() if leg["AccountCode"] == party]
        if not legs:
            raise AmiError(f"{party} has no leg")
        return max(legs, key=born.index)

    async def _until(self, met: Callable[[list[Message]], bool], deadline_s: float, otherwise: str) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                while not met(await self._legs()):  # noqa: ASYNC110 - what is asked is at Asterisk
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AmiError(f"{otherwise} after {deadline_s} s") from None
