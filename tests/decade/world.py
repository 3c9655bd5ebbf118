# SPDX-License-Identifier: BSD-2-Clause
"""A world of its own time, as a test's driver sees it (keeper.h). One for each driver: the library
has one. Seconds everywhere; `now` is the world's time, which begins at 0, and `real` what the wall
clock of a machine says.
"""
import ctypes
import errno
import os
import pathlib

UP, SILENT, UNREACHABLE = range(3)
SECOND = 10**9
ROUNDING = 1000
COUNTERS = ("datagrams", "octets", "hellos", "lost", "jumps", "rounds")


class Hangs(Exception):
    """Time cannot move, since somebody works and does not come to an end."""


class World:
    def __init__(self, folder, real):
        folder = pathlib.Path(folder)
        self.preload = folder / "libdecade.so"
        self.c = ctypes.CDLL(str(folder / "libdecade-keeper.so"))
        self.c.decade_now.restype = ctypes.c_int64
        self.c.decade_counter.restype = ctypes.c_uint64
        self.start = real
        fd = self.c.decade_begin(ctypes.c_int64(real))
        if fd < 0:
            raise OSError(-fd, os.strerror(-fd))
        self.page = f"/proc/{os.getpid()}/fd/{fd}"

    def environment(self, machine):
        """What puts a program into the world."""
        return {"LD_PRELOAD": str(self.preload), "DECADE_WORLD": self.page,
                "DECADE_MACHINE": str(machine)}

    @property
    def now(self):
        return self.c.decade_now() / SECOND

    @property
    def real(self):
        """True time, which the clocks of machines may be wrong about."""
        return self.start + self.now

    def wait(self, until):
        """Time goes on until then, and a little: afterwards `now` is not before it, rounding or not."""
        rc = self.c.decade_wait(ctypes.c_int64(int(until * SECOND) + ROUNDING))
        if rc == -errno.EINTR:
            raise KeyboardInterrupt
        if rc:
            raise Hangs("\n".join(self.slots()))

    def sleep(self, seconds):
        self.wait(self.now + seconds)

    def poke(self):
        self.c.decade_poke()

    def step(self, machine, by):
        self.c.decade_step(machine, ctypes.c_int64(int(by * SECOND)))

    def boot(self, machine, real):
        self.c.decade_boot(machine, ctypes.c_int64(int(real * SECOND)))

    def suspend(self, machine, sleeps):
        self.c.decade_suspend(machine, int(sleeps))

    def link(self, state, loss_permille=0):
        self.c.decade_link(state, loss_permille)

    def counter(self, name, machine=0):
        return self.c.decade_counter(machine, COUNTERS.index(name))

    def slots(self):
        """A line for each thread of the world."""
        text = ctypes.create_string_buffer(256)
        lines, i = [], 0
        while self.c.decade_slot(i, text, len(text)) == 0:
            lines += [text.value.decode()] if text.value else []
            i += 1
        return lines
