"""Calls through Local channels, which optimise themselves away or stay. Numbers 350-359."""

from tests.flows.flow import flow
from tests.flows.steps import blind, happened
from tests.flows.together import together, until
from tests.network.network import Network

CHAINED, CHAINED_KEPT, OUTSIDE, OUTSIDE_KEPT, SEARCHED, FOLLOWED = "350", "351", "352", "353", "354", "355"
"""Bob through three, optimised and kept; outside through one, optimised and kept; Bob or Carol, each through one;
Carol, looked for by FollowMe."""

PBX_EXTRA = {
    "modules.conf": "load = app_followme.so\n",
    "followme.conf": "[flows]\ncontext => internal\nenable_callee_prompt => false\nnumber => 103,20\n",
    "extensions.conf": f"""
[internal]
exten => {CHAINED},1,Dial(Local/700@flows-local-again,30)
 same => n,Goto(end,1)
exten => {CHAINED_KEPT},1,Dial(Local/701@flows-local-again/n,30)
 same => n,Goto(end,1)
exten => {OUTSIDE},1,Dial(Local/0301234567@internal,30)
 same => n,Goto(end,1)
exten => {OUTSIDE_KEPT},1,Dial(Local/0301234567@internal/n,30)
 same => n,Goto(end,1)
exten => {SEARCHED},1,Dial(Local/102@internal&Local/103@internal,30,tTkK)
 same => n,Goto(end,1)
exten => {FOLLOWED},1,FollowMe(flows,n)
 same => n,Goto(end,1)
[flows-local-again]
exten => 700,1,Dial(Local/700@internal,30)
exten => 701,1,Dial(Local/701@internal/n,30)
""",
}


async def _through(net: Network, number: str, name: str, *, optimised: int) -> None:
    call = await net.call("alice", number)
    await together(net, "alice", name)

    def gone() -> int:
        return sum(one["Event"] == "LocalOptimizationEnd" for one in net.pbx.events())

    await until(net, lambda: gone() >= optimised, f"{optimised} Local channels that go away")
    assert gone() == optimised, f"{gone()} Local channels went away"
    await call.hangup()


@flow()
async def local_optimised(net: Network) -> None:
    await _through(net, "700", "bob", optimised=1)


@flow()
async def local_kept(net: Network) -> None:
    await _through(net, "701", "bob", optimised=0)


@flow()
async def local_chain_optimised(net: Network) -> None:
    await _through(net, CHAINED, "bob", optimised=3)


@flow()
async def local_chain_kept(net: Network) -> None:
    await _through(net, CHAINED_KEPT, "bob", optimised=0)


@flow()
async def local_to_outside(net: Network) -> None:
    await _through(net, OUTSIDE, "trunk", optimised=1)


@flow()
async def local_kept_to_outside(net: Network) -> None:
    await _through(net, OUTSIDE_KEPT, "trunk", optimised=0)


@flow()
async def local_to_each_of_two(net: Network) -> None:
    await net.behave("bob", "ring")
    await _through(net, SEARCHED, "carol", optimised=1)


@flow()
async def followed(net: Network) -> None:
    await net.behave("carol", after_s=0.7)
    call = await net.call("alice", FOLLOWED)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def local_transferred(net: Network) -> None:
    """A talk that was optimised moves on."""
    call = await net.call("alice", "700")
    await together(net, "alice", "bob")
    await happened(net, "LocalOptimizationEnd")
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def local_kept_transferred(net: Network) -> None:
    """A blind transfer behind a Local channel that stays."""
    call = await net.call("alice", "701")
    await together(net, "alice", "bob")
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()
