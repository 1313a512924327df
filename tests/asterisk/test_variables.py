"""Channel variables: only those that rules ask about cross the wire, and a snapshot knows what was set before."""

import asyncio

from bridge.asterisk import filters
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected
from bridge.asterisk.wire import MAX_LINE, RawMessage
from bridge.core.messages import VariableSet, parse
from tests.asterisk.fake_server import fake_asterisk
from tests.asterisk.harness import connected, running
from tests.network.network import Network


def test_many_names_go_into_several_filters_none_too_long_for_a_line() -> None:
    names = {f"VARIABLE_{number:04}" for number in range(300)}
    found = list(filters.criteria(["Hangup", "VarSet"], names))
    assert found[0] == {"MatchCriteria": "name(Hangup)"}
    assert len(found) > 2
    assert all(len(f"Filter: {one['Filter']}") < MAX_LINE for one in found[1:])
    assert {name for one in found[1:] for name in one["Filter"][6:-2].split("|")} == names


def test_no_wanted_variable_means_no_varset_at_all() -> None:
    assert list(filters.criteria(["VarSet"], ())) == []


async def test_rules_that_ask_about_more_variables_log_in_anew() -> None:
    async with fake_asterisk() as fake, running(fake) as connection:
        await connected(connection)
        connection.want_variables(frozenset({"CAMPAIGN"}))
        async with asyncio.timeout(20):
            while not isinstance((await connection.next_batch(1))[0], Connected):
                pass
        regexes = [action.get("Filter") for action in fake.actions if action.name == "Filter"]
        assert "^_?_?(CAMPAIGN)$" in regexes


async def test_a_real_asterisk_sends_the_wanted_ones_and_a_snapshot_has_their_values(network: Network) -> None:
    call = await network.call("alice", "102")
    await call.answered()
    leg = (await network.channels())[0]
    before = 'spring, "x" = 1'
    await network.pbx.action("Setvar", Channel=leg["Channel"], Variable="CAMPAIGN", Value=before)
    connection = AmiConnection(
        "127.0.0.1",
        network.pbx_ami_port,
        network.bridge_user,
        network.bridge_secret,
        variables=frozenset({"CAMPAIGN", "RECBRIDGE"}),
    )
    running_connection = asyncio.create_task(connection.run())
    try:
        (first,) = await connection.next_batch(1)
        assert isinstance(first, Connected)
        assert [(one.uniqueid, one.name, one.value) for one in first.snapshot.variables] == [
            (leg["Uniqueid"], "CAMPAIGN", before)
        ]
        for name in ("OTHER", "__RECBRIDGE"):
            await network.pbx.action("Setvar", Channel=leg["Channel"], Variable=name, Value="never")
        told: list[VariableSet] = []
        while not told:  # a call of before may still be ending
            messages = [one for one in await connection.next_batch(10) if isinstance(one, RawMessage)]
            events = [parse(one, one.received_at) for one in messages]
            told = [event for event in events if isinstance(event, VariableSet)]
        assert [(one.name, one.value, one.uniqueid) for one in told] == [("RECBRIDGE", "never", leg["Uniqueid"])]
    finally:
        connection.close()
        await running_connection
        await call.hangup()
