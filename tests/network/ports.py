"""Ports of a network that no other network on this machine uses, for as long as it lives."""

import random
import socket

from tests.network.config import Ports

_BLOCK = 1000
# Below Linux's ephemeral ports (32768 and up), so that no client's socket sits in a block.
_STARTS = range(12000, 32000, _BLOCK)


class PortBlock:
    """A block of ports, reserved by a socket on its first one; `ports` until `close()`.

    Networks that run side by side so never share RTP ports, and an Asterisk that restarts finds its own ports free.
    """

    def __init__(self) -> None:
        for start in random.sample(_STARTS, len(_STARTS)):
            if self._reserve(start):
                break
        else:
            raise OSError("no free block of ports between 12000 and 32000")
        self.ports = Ports(
            pbx_sip=start + 1,
            phones_sip=start + 2,
            pbx_ami=start + 3,
            phones_ami=start + 4,
            pbx_http=start + 5,
            pbx_rtp=(start + 10, start + 499),
            phones_rtp=(start + 500, start + 999),
        )

    def close(self) -> None:
        """Give the block back."""
        self._reservation.close()

    def _reserve(self, start: int) -> bool:
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            reservation.bind(("127.0.0.1", start))
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                for port in range(start + 1, start + 6):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
                        probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            return False
        self._reservation = reservation
        return True
