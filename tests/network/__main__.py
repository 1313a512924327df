"""`python -m tests.network`: a telephone network to play with, until Ctrl-C."""

import argparse
import asyncio
import signal
from pathlib import Path

from tests.network import config
from tests.network.asterisk import AsteriskError
from tests.network.chroot import NoAsteriskError
from tests.network.network import Network

HELP = """\
AMI        127.0.0.1:{ami}  user {user}  secret {secret}  (all rights: {test} / {test_secret})
spool      {spool}
console    nsenter -t {pbx} -m --root --wdns=/ asterisk -C {work}/pbx/etc/asterisk.conf -r
phones     {phones}; queue 500, ring group 600, Local 700 and 701, the PBX itself 800, out 0…
a call     in the phones' console, or behind it with -x '…':
           nsenter -t {phones_pid} -m --root --wdns=/ asterisk -C {work}/phones/etc/asterisk.conf -r
           channel originate PJSIP/102@as-alice extension alice@hum
           channel originate PJSIP/{did}@as-carrier extension outside@hum
pids {pbx} {phones_pid}
Ctrl-C ends it."""


async def run(suite: str, work: Path | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Network(suite=suite, work=work) as net:
        pbx, phones = (asterisk.pid for asterisk in net.asterisks)
        print(  # noqa: T201 - a command for developers
            HELP.format(
                ami=net.pbx_ami_port,
                user=net.bridge_user,
                secret=net.bridge_secret,
                test=config.TEST_USER,
                test_secret=config.TEST_SECRET,
                spool=net.spool,
                work=net.work,
                phones=", ".join(f"{name} {number}" for name, number in config.PHONES.items()),
                did=config.SUPPORT_DID,
                pbx=pbx,
                phones_pid=phones,
            ),
            flush=True,
        )
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.network", description=__doc__)
    parser.add_argument("--suite", default="sid", help="Debian's suite: sid (Asterisk 22) or bullseye (16)")
    parser.add_argument("--work", type=Path, help="a folder to keep; else a temporary one that goes")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.suite, options.work))
    except (NoAsteriskError, AsteriskError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
