"""Captures: what AMI said, byte for byte, from before a call until after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.network.ami import AmiError
from tests.network.config import TEST_SECRET, TEST_USER

_END = b"\r\n\r\n"
# Asterisk sends this through the same router as the channel events: once it is here, all before it is.
_TOKEN = b"RECBRIDGE_CAPTURE_END"


@asynccontextmanager
async def capture(
    port: int, path: Path, *, username: str = TEST_USER, secret: str = TEST_SECRET, deadline_s: float = 20
) -> AsyncIterator[None]:
    """Save every event of the body as a session with these rights sees it.

    The file has whole events only, `\\r\\n`-framed, without the banner and answers to actions. Its folder is made.
    TimeoutError, OSError, AmiError where the session fails.
    """
    async with asyncio.timeout(deadline_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = bytearray()
    grown = asyncio.Event()

    async def read() -> None:
        while chunk := await reader.read(2**16):
            said.extend(chunk)
            grown.set()

    async def until(word: bytes) -> None:
        async with asyncio.timeout(deadline_s):
            while word not in said:
                grown.clear()
                await grown.wait()

    task = asyncio.create_task(read(), name=f"capture {path.name}")
    try:
        writer.write(f"Action: Login\r\nUsername: {username}\r\nSecret: {secret}\r\nEvents: on\r\n\r\n".encode())
        await until(_END)
        if b"Response: Success" not in said:
            raise AmiError(f"capture: {bytes(said[:200])!r}")
        yield
        writer.write(b"Action: Setvar\r\nVariable: " + _TOKEN + b"\r\nValue: 1\r\n\r\n")
        await until(b"Variable: " + _TOKEN + b"\r\nValue: 1" + _END)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    messages = bytes(said).split(_END)[1:]  # the first is the banner and the answer to Login
    end = next(index for index, message in enumerate(messages) if _TOKEN in message)
    # The answer to our own Setvar may stand among the events, and TestEvent ends in two blank lines (measured).
    whole = (message.removeprefix(b"\r\n") for message in messages[:end])
    events = [message + _END for message in whole if message.startswith(b"Event:")]
    await asyncio.to_thread(_write, path, b"".join(events))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
