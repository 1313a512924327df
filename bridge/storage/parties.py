"""Who was in finished calls: the statements and rows, and back."""

import sqlite3

from bridge.core.ids import ChannelName, Identity, Uniqueid
from bridge.core.records import Party
from bridge.storage.values import Row, texts_in, time_in, time_out

ADD_PARTY = """
INSERT INTO cdr_parties (cdr, position, systemname, uniqueid, channel, name, number, identity, outside, dialed,
    began_at, answered_at, ended_at, dial_status)
VALUES (:cdr, :position, CAST(:systemname AS TEXT), CAST(:uniqueid AS TEXT), CAST(:channel AS TEXT),
    CAST(:name AS TEXT), CAST(:number AS TEXT), CAST(:identity AS TEXT), :outside, :dialed, :began_at, :answered_at,
    :ended_at, CAST(:dial_status AS TEXT))
"""
PARTIES = "SELECT * FROM cdr_parties WHERE cdr = ? ORDER BY position"
REWRITE_PARTY = """
UPDATE cdr_parties SET name = CAST(:name AS TEXT), number = CAST(:number AS TEXT), identity = CAST(:identity AS TEXT)
WHERE cdr = :cdr AND position = :position
"""


def party_row(party: Party, position: int, systemname: str) -> Row:
    """A party's row, all but its call."""
    return texts_in(
        {
            "position": position,
            "systemname": systemname,
            "uniqueid": party.uniqueid,
            "channel": party.channel,
            "name": party.name,
            "number": party.number,
            "identity": party.identity,
            "outside": party.outside,
            "dialed": party.dialed,
            "began_at": time_in(party.began_at),
            "answered_at": time_in(party.answered_at),
            "ended_at": time_in(party.ended_at),
            "dial_status": party.dial_status,
        }
    )


def party_of(row: sqlite3.Row) -> Party:
    """From a row of cdr_parties."""
    return Party(
        uniqueid=Uniqueid(row["uniqueid"]),
        channel=ChannelName(row["channel"]),
        name=row["name"],
        number=row["number"],
        identity=None if row["identity"] is None else Identity(row["identity"]),
        outside=bool(row["outside"]),
        dialed=bool(row["dialed"]),
        began_at=time_out(row["began_at"]),
        answered_at=None if row["answered_at"] is None else time_out(row["answered_at"]),
        ended_at=time_out(row["ended_at"]),
        dial_status=row["dial_status"],
    )
