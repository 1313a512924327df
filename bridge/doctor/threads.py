"""Looks that block, side by side: a disk that hangs must not keep the command from ending."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(look: Callable[[], T]) -> T:
    """What `look` gives or raises, in a thread of its own that nobody waits for once this is cancelled."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def end(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # without an error it is a T

    def body() -> None:
        result, error = None, None
        try:
            result = look()
        except BaseException as raised:  # raised where it is waited for
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there any more
            loop.call_soon_threadsafe(end, result, error)

    threading.Thread(target=body, name="doctor", daemon=True).start()
    return await answer
