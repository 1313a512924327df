"""A call as the party that placed it holds it."""

from dataclasses import dataclass

from tests.network.ami import Ami, AmiError, Message


class CallFailedError(Exception):
    """The call was not answered; `cause` is the hangup cause that the caller's phone got (17 busy, 21 rejected)."""

    def __init__(self, cause: int, words: str) -> None:
        super().__init__(f"{cause} {words}")
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a phone or an outside party placed. Ids are those of the phones' Asterisk, not of the PBX."""

    caller: str
    uniqueid: str
    _phones: Ami
    _began: int  # the phones' events before it

    async def answered(self, deadline_s: float = 20) -> None:
        """Return when the caller's phone is connected; CallFailedError when the call ends unanswered."""
        response = await self._event("OriginateResponse", deadline_s)
        if response["Response"] != "Success":
            end = await self._event("Hangup", deadline_s)  # OriginateResponse itself says 0 even for busy (measured)
            raise CallFailedError(int(end["Cause"]), end["Cause-txt"])

    async def hangup(self, deadline_s: float = 20) -> None:
        """The caller hangs up, ringing or talking; returns when its leg is gone. Harmless when it is gone already."""
        try:
            await self._phones.action("Hangup", Channel=self.uniqueid)
        except AmiError as error:
            if "No such channel" not in str(error):
                raise
        await self.ended(deadline_s)

    async def ended(self, deadline_s: float = 20) -> None:
        """Return when the caller's leg is gone, whoever hung up."""
        await self._event("Hangup", deadline_s)

    async def _event(self, name: str, deadline_s: float) -> Message:
        return await self._phones.wait_for(
            lambda event: event["Event"] == name and event.get("Uniqueid") == self.uniqueid,
            deadline_s=deadline_s,
            since=self._began,
        )
