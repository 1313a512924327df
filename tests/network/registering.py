"""Phones that register at the PBX: its own network has contacts in pjsip.conf alone."""

import asyncio
from itertools import count

_CALL = "exten => {number},1,Dial(${{PJSIP_DIAL_CONTACTS({name})}},30)\n same => n,Hangup()\n"
_NUMBERS = count(1)


def registrar(name: str, number: str, phones: int = 2) -> dict[str, str]:
    """`pbx_extra` for an endpoint with room for so many phones; `number` rings all of them."""
    return {
        "modules.conf": "load = res_pjsip_registrar.so\n",
        "pjsip.conf": f"""
[{name}](endpoint)
context = internal
aors = {name}
[{name}]
type = aor
max_contacts = {phones}
""",
        "extensions.conf": f"[internal](+)\n{_CALL.format(number=number, name=name)}",
    }


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.first: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _: object) -> None:
        if not self.first.done():
            self.first.set_result(data.decode("utf-8", "replace"))


async def register(sip_port: int, name: str, contact: str, user_agent: str) -> None:
    """Register a phone whose calls go to `contact` (`bob@127.0.0.1:5070`)."""
    loop = asyncio.get_running_loop()
    transport, answers = await loop.create_datagram_endpoint(_Answers, local_addr=("127.0.0.1", 0))
    try:
        port, number = transport.get_extra_info("sockname")[1], next(_NUMBERS)
        lines = (
            f"REGISTER sip:127.0.0.1:{sip_port} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{port}-{number}",
            f"From: <sip:{name}@127.0.0.1>;tag={number}",
            f"To: <sip:{name}@127.0.0.1>",
            f"Call-ID: {port}-{number}",
            "CSeq: 1 REGISTER",
            "Max-Forwards: 70",
            f"Contact: <sip:{contact}>",
            "Expires: 3600",
            f"User-Agent: {user_agent}",
            "Content-Length: 0",
            "",
            "",
        )
        transport.sendto("\r\n".join(lines).encode(), ("127.0.0.1", sip_port))
        async with asyncio.timeout(20):
            answer = await answers.first
        status, _, _ = answer.partition("\r\n")
        if " 200 " not in status:
            raise RuntimeError(f"{name} was not registered: {status}")
    finally:
        transport.close()
