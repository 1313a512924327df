"""`python -m tests.bench.peer`: the least that records, an AMI client that starts a MixMonitor and does nothing else.

No rules, no journal, no files of its own, and no look at an answer. Asterisk sends it one event a talk, the second
channel's BridgeEnter, and it answers with one action on that channel. It says `ready` when its filter is in force.
"""

import argparse
import asyncio
import socket

# Asterisk 22 does the deciding: only a bridge's second BridgeEnter crosses the wire.
_SECOND = (
    "Action: Filter\r\nOperation: Add\r\nMatchCriteria: name(BridgeEnter),header(BridgeNumChannels),method(exact)\r\n"
)
_SECOND += "Filter: 2\r\nActionID: filter\r\n\r\n"
_UNIQUEID = b"\r\nUniqueid: "


class Peer(asyncio.Protocol):
    """One connection to AMI."""

    def __init__(self, username: str, secret: str, folder: str) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._login = f"Action: Login\r\nUsername: {username}\r\nSecret: {secret}\r\nActionID: login\r\n\r\n"
        self._before, self._after = b"Action: MixMonitor\r\nChannel: ", f"\r\nFile: {folder}/".encode()
        self._started = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write((self._login + _SECOND).encode())

    def data_received(self, data: bytes) -> None:
        *messages, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for message in messages:
            if message.startswith(b"Event: BridgeEnter"):
                begin = message.index(_UNIQUEID) + len(_UNIQUEID)
                leg = message[begin : message.index(b"\r\n", begin)]
                self._started += 1
                self._transport.write(b"%b%b%b%d.wav\r\n\r\n" % (self._before, leg, self._after, self._started))
            elif b"ActionID: filter" in message:
                if b"Response: Success" not in message:
                    self.over.set_exception(RuntimeError(message.decode(errors="replace")))
                else:
                    print("ready", flush=True)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("Asterisk closed the connection"))


async def run(port: int, username: str, secret: str, folder: str) -> None:
    """Record until Asterisk goes or a signal ends the process."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    _, peer = await asyncio.get_running_loop().create_connection(
        lambda: Peer(username, secret, folder), sock=connection
    )
    await peer.over


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peer", description=__doc__)
    parser.add_argument("port", type=int, help="of AMI on 127.0.0.1")
    parser.add_argument("username")
    parser.add_argument("secret")
    parser.add_argument("folder", help="where the WAVs go")
    options = parser.parse_args()
    asyncio.run(run(options.port, options.username, options.secret, options.folder))


if __name__ == "__main__":
    main()
