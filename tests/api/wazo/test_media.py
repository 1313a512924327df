"""Recordings' audio and its deletion, as wazo-call-logd's clients ask for them."""

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.cdrs import CdrNumber, recording_name
from bridge.core.ids import CallId
from bridge.core.records import FactKind, SectionState
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT, WAV
from tests.api.wazo.office import BASE, TENANT, FakeRecordings, Office, another, recorded, refused, uuid_of

Client = TestClient[Request, Application]
ANY = {"Accept": "*/*"}


def media(number: int, uuid: str, me: str = "") -> str:
    return f"{BASE}{me}/cdr/{number}/recordings/{uuid}/media"


async def test_a_whole_recording_is_an_attachment(office: Office, wazo: Client) -> None:
    section = recorded()
    await office.call(section)
    headers = await office.client_token(ALICE) | ANY
    for path in (
        media(1, uuid_of(section)),
        media(1, uuid_of(section).upper()),
        media(1, uuid_of(section), "/users/me"),
    ):
        response = await wazo.get(path, headers=headers)
        assert (response.status, await response.read()) == (200, WAV)
        assert response.content_type == "audio/wav"
        name = recording_name(CdrNumber(1), section)
        assert response.headers["Content-Disposition"] == f"attachment; filename={name}"
        head = await wazo.head(path, headers=headers)
        assert (head.status, head.headers["Content-Length"], await head.read()) == (200, str(len(WAV)), b"")


async def test_a_part_is_no_attachment(office: Office, wazo: Client) -> None:
    section = recorded()
    await office.call(section)
    headers = await office.client_token(ROOT, Role.ADMIN) | ANY
    response = await wazo.get(media(1, uuid_of(section)), headers=headers | {"Range": "bytes=10-19"})
    assert (response.status, await response.read()) == (206, WAV[10:20])
    assert response.headers["Content-Range"] == f"bytes 10-19/{len(WAV)}"
    assert "Content-Disposition" not in response.headers
    beyond = await wazo.get(media(1, uuid_of(section)), headers=headers | {"Range": f"bytes={len(WAV)}-"})
    await refused(beyond, 416, "range-not-satisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{len(WAV)}"


@pytest.mark.parametrize(
    ("scope", "whole", "part"), [(Scope.PLAY, 401, 206), (Scope.DOWNLOAD, 200, 206), (Scope.CONTROL, 401, 401)]
)
async def test_what_a_token_is_good_for(office: Office, wazo: Client, scope: Scope, whole: int, part: int) -> None:
    section = recorded()
    await office.call(section)
    headers = await office.client_token(ALICE, scopes=[scope]) | ANY
    assert (await wazo.get(media(1, uuid_of(section)), headers=headers)).status == whole
    assert (await wazo.get(media(1, uuid_of(section)), headers=headers | {"Range": "bytes=0-1"})).status == part
    details = await refused(await wazo.delete(media(1, uuid_of(section)), headers=headers), 401, "unauthorized")
    assert details["required_access"] == f"call-logd.cdr.1.recordings.{uuid_of(section)}.media.delete"


async def test_a_link_may_have_its_token_in_the_query(office: Office, wazo: Client) -> None:
    section = recorded()
    await office.call(section)
    token = (await office.client_token(ALICE))["X-Auth-Token"]
    path = media(1, uuid_of(section))
    assert (await wazo.get(path, params={"token": token, "tenant": TENANT})).status == 200
    await refused(await wazo.get(path, params={"token": token, "tenant": "other"}), 401, "unauthorized-tenant")
    for closed in (f"{BASE}/cdr/1", media(1, uuid_of(section), "/users/me"), f"{BASE}/status"):
        await refused(await wazo.get(closed, params={"token": token}), 401, "unauthorized")
    await refused(await wazo.delete(path, params={"token": token}), 401, "unauthorized")


async def test_a_token_in_the_query_is_not_logged(
    office: Office, wazo: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    token = (await office.client_token(ROOT, Role.ADMIN))["X-Auth-Token"]
    assert (await wazo.get(f"{BASE}/cdr", params={"token": token})).status == 200
    await refused(await wazo.get(f"{BASE}/cdr", params={"token": token, "limit": "x"}), 400, "invalid-data")
    await refused(await wazo.get(f"{BASE}/cdr", params={"token": f"{token}x"}), 401, "unauthorized")
    said = capsys.readouterr()
    assert "/cdr" in said.out + said.err
    assert token not in said.out + said.err


async def test_anothers_recording_is_not_there(office: Office, wazo: Client) -> None:
    section, values = another(2, participants=(DAVE,))
    consultation = recorded(2, participants=(BOB, DAVE))
    await office.call(recorded(), consultation)
    await office.call(section, **values, participants=(DAVE,))
    headers = await office.client_token(ALICE) | ANY
    for me in ("", "/users/me"):
        no_call = await wazo.get(media(2, uuid_of(section), me), headers=headers)
        await refused(no_call, 404, "cdr-not-found-with-given-id")
        for uuid in (uuid_of(consultation), uuid_of(section), "x"):
            details = await refused(await wazo.get(media(1, uuid, me), headers=headers), 404, "recording-not-found")
            assert details == {"recording_uuid": uuid}


async def test_below_me_is_only_what_one_took_part_in(office: Office, wazo: Client) -> None:
    office.supervises[CAROL] = frozenset({ALICE})
    section = recorded()
    await office.call(section)
    headers = await office.client_token(CAROL, Role.SUPERVISOR) | ANY
    assert (await wazo.get(media(1, uuid_of(section)), headers=headers)).status == 200
    mine = await wazo.get(media(1, uuid_of(section), "/users/me"), headers=headers)
    await refused(mine, 404, "cdr-not-found-with-given-id")


async def test_a_deleted_recording_stays_in_the_list_without_audio(office: Office, wazo: Client) -> None:
    section = recorded()
    await office.call(section)
    headers = await office.client_token(ROOT, Role.ADMIN)
    for _ in range(2):
        response = await wazo.delete(media(1, uuid_of(section)), headers=headers)
        assert (response.status, await response.read()) == (204, b"")
    assert isinstance(office.recordings, FakeRecordings)
    assert office.recordings.asked == [section.key]
    gone = await wazo.get(media(1, uuid_of(section)), headers=headers | ANY)
    assert await refused(gone, 400, "recording-media-not-found") == {"recording_uuid": uuid_of(section)}
    item = await (await wazo.get(f"{BASE}/cdr/1", headers=headers)).json()
    assert [one["deleted"] for one in item["recordings"]] == [True]


async def test_a_file_that_is_missing_is_said_as_wazo_does(office: Office, wazo: Client) -> None:
    section = recorded()
    await office.call(section)
    (office.root / section.path).unlink()
    headers = await office.client_token(ROOT, Role.ADMIN) | ANY
    details = await refused(
        await wazo.get(media(1, uuid_of(section)), headers=headers), 500, "recording-media-filesystem-not-found"
    )
    assert details == {"recording_uuid": uuid_of(section)}


async def test_a_recording_that_is_not_checked_yet_has_no_audio(office: Office, wazo: Client) -> None:
    section = recorded(state=SectionState.CLOSED, report=None)
    await office.call(section)
    headers = await office.client_token(ROOT, Role.ADMIN) | ANY
    await refused(await wazo.get(media(1, uuid_of(section)), headers=headers), 409, "not-stored-yet")


async def test_what_must_be_kept_is_not_deleted(office: Office, wazo: Client) -> None:
    held, free = recorded(1), recorded(2)
    await office.call(held, free)
    assert isinstance(office.recordings, FakeRecordings)
    office.recordings.stay = {held.key}
    headers = await office.client_token(ROOT, Role.ADMIN)
    for response in (
        await wazo.delete(media(1, uuid_of(held)), headers=headers),
        await wazo.delete(f"{BASE}/cdr/recordings/media", headers=headers, json={"cdr_ids": [1]}),
    ):
        assert await refused(response, 409, "recording-must-be-kept") == {"recording_uuids": [uuid_of(held)]}
    assert (await wazo.get(media(1, uuid_of(held)), headers=headers | ANY)).status == 200


async def test_the_recordings_of_several_calls_go_together_or_not_at_all(office: Office, wazo: Client) -> None:
    one, other = recorded(1), recorded(2)
    section, values = another(2)
    await office.call(one, other)
    await office.call(section, **values)
    await office.call(call_id=CallId("3.3"), record_ids=())
    headers = await office.client_token(ROOT, Role.ADMIN)
    path = f"{BASE}/cdr/recordings/media"
    response = await wazo.delete(path, headers=headers, json={"cdr_ids": [1, 77, 88]})
    assert await refused(response, 404, "cdr-not-found-with-given-id") == {"cdr_id": 77}
    assert isinstance(office.recordings, FakeRecordings)
    assert office.recordings.asked == []
    response = await wazo.delete(path, headers=headers, json={"cdr_ids": [1, 1, 2, 3]})
    assert (response.status, await response.read()) == (204, b"")
    assert sorted(office.recordings.asked) == sorted([one.key, other.key, section.key])


async def test_a_user_deletes_only_what_it_may_see(office: Office, wazo: Client) -> None:
    mine, consultation = recorded(1), recorded(2, participants=(BOB, DAVE))
    section, values = another(2, participants=(DAVE,))
    await office.call(mine, consultation)
    await office.call(section, **values, participants=(DAVE,))
    headers = await office.client_token(ALICE, scopes=[Scope.DELETE])
    path = f"{BASE}/cdr/recordings/media"
    await refused(
        await wazo.delete(path, headers=headers, json={"cdr_ids": [1, 2]}), 404, "cdr-not-found-with-given-id"
    )
    assert (await wazo.delete(path, headers=headers, json={"cdr_ids": [1]})).status == 204
    assert isinstance(office.recordings, FakeRecordings)
    assert office.recordings.asked == [mine.key]


@pytest.mark.parametrize(
    ("body", "constraint"),
    [
        ("", "required"),
        ("{}", "required"),
        ('{"cdr_ids": null}', "not_null"),
        ('{"cdr_ids": "1"}', "list"),
        ('{"cdr_ids": []}', {"min": 1, "max": None}),
        ('{"cdr_ids": [1, "x", true]}', "integer"),
    ],
)
async def test_wrong_bodies_are_named(office: Office, wazo: Client, body: str, constraint: object) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN) | {"Content-Type": "application/json"}
    response = await wazo.delete(f"{BASE}/cdr/recordings/media", headers=headers, data=body)
    problem = (await refused(response, 400, "invalid-data"))["cdr_ids"]
    problem = problem[0] if isinstance(problem, list) else problem.get("1", problem)
    assert problem["constraint"] == constraint


@pytest.mark.parametrize("body", ["{", "[1]", "1", "\xff", "[" * 5000])
async def test_what_is_no_object_is_refused(office: Office, wazo: Client, body: str) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN)
    response = await wazo.delete(f"{BASE}/cdr/recordings/media", headers=headers, data=body.encode("latin-1"))
    assert "_schema" in await refused(response, 400, "invalid-data")


async def test_a_daemon_that_deletes_nothing_says_so(office: Office) -> None:
    office.recordings = None
    section = recorded(deleted_at=None)
    await office.call(section)
    async with office.opened() as client:
        headers = await office.client_token(ROOT, Role.ADMIN)
        await refused(await client.delete(media(1, uuid_of(section)), headers=headers), 503, "service-unavailable")


@pytest.mark.parametrize(
    ("scopes", "whole", "part"),
    [
        ((Scope.PLAY, Scope.DOWNLOAD), FactKind.RECORDING_DOWNLOADED, FactKind.RECORDING_PLAYED),
        ((Scope.DOWNLOAD,), FactKind.RECORDING_DOWNLOADED, FactKind.RECORDING_DOWNLOADED),
        ((Scope.PLAY,), None, FactKind.RECORDING_PLAYED),
    ],
)
async def test_who_is_handed_a_recording_is_a_fact(
    office: Office, wazo: Client, scopes: tuple[Scope, ...], whole: FactKind | None, part: FactKind
) -> None:
    section = recorded()
    await office.call(section)
    for ranged, kind in (({}, whole), ({"Range": "bytes=10-19"}, part)):
        headers = await office.token(ROOT, Role.ADMIN, scopes) | ANY | ranged
        before = (await office.store.fact_bounds())[1]
        response = await wazo.get(media(1, uuid_of(section)), headers=headers)
        assert response.ok is (kind is not None)
        facts = [one.fact for one in await office.store.facts_after(before, 10)]
        assert [(one.kind, one.record_id, one.personal) for one in facts] == (
            [] if kind is None else [(kind, section.record_id, {"identity": "root"})]
        )
