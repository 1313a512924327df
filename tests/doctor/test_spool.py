"""The checks of the spool and its disk: folders that are not shared, users that may not write, small disks."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.core.retention import Keeping
from bridge.doctor import disk, spool
from bridge.doctor.findings import State
from bridge.doctor.processes import asterisk
from bridge.storage.figures import Backlog, Figures
from tests.doctor.ground import ground, now, one, states
from tests.network.network import Network
from tests.storage.mounted import can_mount, tmpfs

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees through others' processes")
_LISTEN = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@contextmanager
def an_asterisk_of_nobody(folder: Path) -> Iterator[int]:
    """A process that is called asterisk, listens, and is nobody's; gives its port."""
    program = folder / "asterisk"
    program.symlink_to(Path(sys.executable).resolve())
    with subprocess.Popen(
        [program, "-c", _LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def figures(**given: object) -> Figures:
    values: dict[str, object] = {
        "day_bytes": 0, "week_bytes": 0, "began_at": None, "keeping": Keeping(timedelta(days=365)), "next_expiry": None,
        "overdue": 0, "holds": 0, "held_since": None, "tokens": (), "webhooks": 0, "disabled": (),
        "deliveries": Backlog(0, None), "mails": Backlog(0, None), "exports": 0,
    }  # fmt: skip
    return Figures(**(values | given))  # type: ignore[arg-type]


@ROOT_ONLY
def test_an_asterisk_whose_user_may_not_write_is_found_by_the_port_that_it_listens_at(tmp_path: Path) -> None:
    with an_asterisk_of_nobody(tmp_path) as port:
        process = asterisk(port)
        assert process is not None
        assert process.uid == 65534
        place = ground(tmp_path, port=port)
        (tmp_path / "spool").chmod(0o770)
        found = one(spool.both(place), "spool-asterisk")
        assert (found.state, found.values["mode"]) == (State.FAILED, "0770")
        assert "chmod 2770" in found.remedy
        os.chown(tmp_path / "spool", -1, 65534)
        assert one(spool.both(place), "spool-asterisk").state is State.OK


@ROOT_ONLY
async def test_the_real_asterisks_folder_is_ours_and_another_is_told(network: Network, tmp_path: Path) -> None:
    port, shared = network.pbx_ami_port, network.spool
    same = ground(tmp_path, f"spool: {{asterisk: {shared}, local: {shared}}}", port=port)
    assert one(spool.both(same), "spool-asterisk").state is State.OK
    unseen = one(spool.both(ground(tmp_path, port=port)), "spool-asterisk")
    assert unseen.state is State.FAILED
    assert "sees no folder" in unseen.words
    two = ground(tmp_path, "spool: {asterisk: /var/lib, local: /var/lib}", port=port)
    assert "two folders" in one(spool.both(two), "spool-asterisk").words


@ROOT_ONLY
def test_without_an_asterisk_here_nobody_can_say_what_it_sees(tmp_path: Path) -> None:
    assert states(spool.both(ground(tmp_path, host="192.0.2.1")))["spool-asterisk"] is State.UNKNOWN
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = spool.both(ground(tmp_path, port=free.getsockname()[1]))
    assert one(found, "spool-asterisk").state is State.UNKNOWN


@ROOT_ONLY
def test_a_spool_that_we_may_not_write_is_told_with_its_remedy(tmp_path: Path) -> None:
    place = ground(tmp_path)
    (tmp_path / "spool").chmod(0o555)
    tmp_path.chmod(0o755)
    words = (
        "import os, sys; from pathlib import Path; from tests.doctor.ground import ground; "
        "from bridge.doctor import spool; place = ground(Path(sys.argv[1])); os.setuid(65534); "
        "found = spool.look(place)[0]; print(found.state, found.remedy)"
    )
    root = Path(__file__).resolve().parents[2]
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", words, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("failed put recbridge's user into the folder's group")
    assert spool.look(place)[0].state is State.OK  # root may


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
def test_a_small_disk_is_counted_in_hours(tmp_path: Path) -> None:
    place = ground(tmp_path)
    with tmpfs(tmp_path / "spool", 64 * 2**20):
        full = disk.look(place, figures(day_bytes=128 * 2**20, began_at=now() - timedelta(days=9)))
        assert one(full, "disk").state is State.FAILED
        assert "12 hours" in one(full, "disk").words
        assert one(full, "disk").values["lastsS"] == pytest.approx(12 * 3600, rel=0.01)
        slow = disk.look(place, figures(day_bytes=2**20, began_at=now() - timedelta(days=9)))
        assert (one(slow, "disk").state, "64 days" in one(slow, "disk").words) == (State.OK, True)
        frees = now() + timedelta(hours=1)
        soon = one(disk.look(place, figures(day_bytes=128 * 2**20, next_expiry=frees)), "disk")
        assert soon.state is State.WARNING
        assert "retention frees the first in 1 hours" in soon.words
        late = figures(day_bytes=2 * 2**20, began_at=now() - timedelta(days=9), next_expiry=now() + timedelta(days=300))
        assert one(disk.look(place, late), "disk").state is State.WARNING, "full before anything goes"
        idle = one(disk.look(place, figures()), "disk")
        assert (idle.state, "nothing was recorded" in idle.words) == (State.OK, True)
        assert one(disk.look(place, None), "disk").state is State.UNKNOWN
        low = ground(tmp_path, f"spool: {{asterisk: {tmp_path}/spool, local: {tmp_path}/spool, low_space: 1G}}")
        assert one(disk.look(low, figures()), "disk").state is State.WARNING


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
def test_a_disk_without_room_for_more_files_is_told(tmp_path: Path) -> None:
    place = ground(tmp_path)
    with tmpfs(tmp_path / "spool", 2**20, "nr_inodes=1000"):
        assert one(disk.look(place, None), "inodes").state is State.OK
        for number in range(960):
            (tmp_path / "spool" / str(number)).touch()
        assert one(disk.look(place, None), "inodes").state is State.FAILED
