"""Room in memory: claims wait for each other only when they do not fit together."""

from __future__ import annotations

import subprocess
import sys
import threading

import memviz
from memviz.dashboards.room import COPIES, Room, need_of
from memviz.testing.synthetic import write_dnc_run


class Claimant(threading.Thread):
    """Holds a claim until it is let go."""

    def __init__(self, room, wanted):
        super().__init__(daemon=True)
        self.room, self.wanted = room, wanted
        self.inside, self.leave = threading.Event(), threading.Event()
        self.start()

    def run(self):
        with self.room.claim(self.wanted):
            self.inside.set()
            self.leave.wait(60)

    def end(self):
        self.leave.set()
        self.join(60)


def test_what_fits_goes_in_together():
    room = Room(100)
    first, second = Claimant(room, 60), Claimant(room, 40)
    assert first.inside.wait(60)
    assert second.inside.wait(60)
    first.end(), second.end()


def test_what_does_not_fit_waits_until_there_is_room():
    room = Room(100)
    first = Claimant(room, 60)
    assert first.inside.wait(60)
    second = Claimant(room, 41)
    assert not second.inside.wait(0.05)
    first.end()
    assert second.inside.wait(60)
    second.end()


def test_more_than_all_goes_in_alone():
    room = Room(100)
    large = Claimant(room, 10**12)
    assert large.inside.wait(60)
    small = Claimant(room, 1)
    assert not small.inside.wait(0.05)
    large.end()
    assert small.inside.wait(60)
    small.end()


def test_no_more_than_so_many_at_once():
    room = Room(100, at_once=1)
    first = Claimant(room, 0)
    assert first.inside.wait(60)
    second = Claimant(room, 0)
    assert not second.inside.wait(0.05)
    first.end(), second.end()
    assert second.inside.is_set()


def test_room_is_given_back_after_a_failure():
    room = Room(10)
    for _ in range(3):
        try:
            with room.claim(10):
                raise ValueError
        except ValueError:
            pass


def test_the_need_of_a_record_counts_what_it_stores(tmp_path):
    record = memviz.open(write_dnc_run(tmp_path / "run", steps=1))[0]
    assert need_of(record) == COPIES * 4 * sum(record[name].size for name in record.stored)


def test_freed_blocks_go_back_to_the_system():
    """Blocks of 8 MiB between which something small stays, as when a large record is read in parts."""
    code = """
import numpy as np, pathlib
from memviz.dashboards.room import return_what_is_freed
return_what_is_freed()
def held():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) // 1024
np.ones(30 * 2**20, np.uint8)  # freed at once, it would raise the size up to which glibc keeps blocks
before = held()
blocks, rest = [], []
for _ in range(20):
    blocks.append(np.ones(8 * 2**20, np.uint8))
    rest.append(bytearray(2000))
del blocks
print(held() - before)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) < 16
