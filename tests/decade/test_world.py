#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The world itself: that its time moves when everybody waits and only then, whatever it is that they
wait for. Members are small Python programs under the preload library; they say "ready" when they are
in, and what they print last is judged.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
import world as worlds  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
START = 2145916800  # 2038-01-01: seconds since 1970 outgrow 31 bits on the 19th
DAY, YEAR = 86400, 365 * 86400

PRELUDE = """
import ctypes, errno, os, select, signal, socket, struct, sys, threading, time
C = ctypes.CDLL(None, use_errno=True)
def ready():
    print("ready", flush=True)
def poll(fd, ms):
    p = select.poll()
    p.register(fd, select.POLLIN)
    return bool(p.poll(ms))
REALTIME, MONOTONIC, BOOTTIME, ABSTIME, CANCEL_ON_SET = 0, 1, 7, 1, 3
def timerfd(clock, flags, seconds):
    fd = C.timerfd_create(clock, os.O_NONBLOCK)
    C.timerfd_settime(fd, flags, struct.pack("qqqq", 0, 0, int(seconds), 0), None)
    return fd
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    return s
"""


class World(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = worlds.World(harness.BUILD / "tests/decade", START)

    def setUp(self):
        self.world.link(worlds.UP)

    def member(self, program, *arguments, machine=1):
        """In the world, and past its "ready"."""
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + program, *map(str, arguments)],
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, **self.world.environment(machine)})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def said(self, process, within=10):
        """What it has printed, after so much of the world's time."""
        self.world.sleep(within)
        process.wait(20 * harness.PATIENCE)
        return process.stdout.read().strip()

    def run_alone(self, program, *arguments, within=10):
        return self.said(self.member(program, *arguments), within)

    # --- time goes on ---------------------------------------------------------------------------

    def test_a_year_takes_no_time(self):
        began = time.monotonic()
        said = self.run_alone(f"""
ready()
real, mono = time.time(), time.monotonic()
time.sleep({YEAR})
print(round(time.time() - real), round(time.monotonic() - mono), time.gmtime().tm_year)
""", within=2 * YEAR)
        self.assertEqual(said, f"{YEAR} {YEAR} {time.gmtime(self.world.real - YEAR).tm_year}")
        self.assertLess(time.monotonic() - began, 20 * harness.PATIENCE)

    def test_two_sleepers_take_turns(self):
        program = "ready()\nfor i in range(100): time.sleep(float(sys.argv[1]))\nprint(time.time())"
        began = self.world.real
        slow, fast = self.member(program, 2), self.member(program, 1)
        self.assertAlmostEqual(float(self.said(fast, 300)), began + 100, delta=0.1)
        self.assertAlmostEqual(float(self.said(slow, 1)), began + 200, delta=0.1)

    def test_each_way_to_wait_ends_on_time(self):
        for name, call in {
                "poll": "poll(r, 7000)", "select": "select.select([r], [], [], 7)",
                "epoll": "select.epoll().poll(7)", "sleep": "time.sleep(7)",
                "socket": "late(s)", "usleep": "[C.usleep(700000) for i in range(10)]"}.items():
            with self.subTest(name=name):
                said = self.run_alone(f"""
r, w = os.pipe()
s = udp()
s.settimeout(7)
def late(s):
    try: s.recv(1)
    except TimeoutError: pass
ready()
began = time.monotonic()
{call}
print(round(time.monotonic() - began, 2))
""", within=100)
                self.assertEqual(said, "7.0")

    # --- time stands ----------------------------------------------------------------------------

    def test_time_stands_while_a_datagram_waits(self):
        """Two talk, each with a millisecond's patience, and a third is eager for time to move."""
        echo = self.member("""
s = udp()
ready()
print(s.getsockname()[1], flush=True)
while poll(s.fileno(), 3600000): s.sendto(*s.recvfrom(100))
""")
        port = int(echo.stdout.readline())
        eager = self.member("""
ready()
for i in range(10**9): time.sleep(0.0005)
""")
        said = self.run_alone("""
s = udp()
ready()
late, began = 0, time.monotonic()
for i in range(3000):
    s.sendto(b"x%d" % i, ("127.0.0.1", int(sys.argv[1])))
    if not poll(s.fileno(), 1): late += 1
    else: assert s.recv(100) == b"x%d" % i
print(late, time.monotonic() - began < 0.2)
""", port)
        eager.kill()
        echo.kill()
        self.assertEqual(said, "0 True")

    def test_time_stands_while_a_thread_works(self):
        said = self.run_alone("""
r, w = os.pipe()
def work():
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
    os.write(w, b"x")
ready()
threading.Thread(target=work).start()
print(poll(r, 1))
""")
        self.assertEqual(said, "True")

    def test_time_stands_while_a_child_is_born_works_and_dies(self):
        said = self.run_alone("""
ready()
seen = 0
for i in range(30):
    child = os.fork()
    if child == 0:
        sum(range(100000))
        os._exit(0)
    seen += poll(os.pidfd_open(child), 1)
    os.waitpid(child, 0)
print(seen)
""")
        self.assertEqual(said, "30")

    def test_whoever_is_killed_holds_nothing_up(self):
        said = self.run_alone("""
ready()
for end in ("works", "waits"):
    child = os.fork()
    if child == 0:
        while True: end == "waits" and time.sleep(1000)
    time.sleep(0.5) if end == "waits" else os.sched_yield()
    os.kill(child, signal.SIGKILL)
    print(poll(os.pidfd_open(child), 1), end=" ")
    os.waitpid(child, 0)
began = time.monotonic()
time.sleep(5)
print(round(time.monotonic() - began))
""")
        self.assertEqual(said, "True True 5")

    def test_another_program_in_the_same_process(self):
        process = self.member(f"""
ready()
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep({DAY}); print(time.time())"])
""")
        began = self.world.real
        self.assertAlmostEqual(float(self.said(process, 2 * DAY)), began + DAY, delta=1)

    # --- timers and clocks ----------------------------------------------------------------------

    def test_a_timer_in_an_epoll_in_a_poll(self):
        said = self.run_alone("""
e = select.epoll()
t = timerfd(BOOTTIME, 0, 3600)
e.register(t, select.EPOLLIN)
ready()
began = time.monotonic()
print(poll(e.fileno(), 10000000), round(time.monotonic() - began), end=" ")
print(struct.unpack("Q", os.read(t, 8))[0], poll(e.fileno(), 1000))
""", within=5000)
        self.assertEqual(said, "True 3600 1 False")

    def test_a_clock_that_is_set_cancels_and_moves_what_is_due_on_it(self):
        process = self.member("""
wall = timerfd(REALTIME, ABSTIME, time.time() + 7200)
cancel = timerfd(REALTIME, CANCEL_ON_SET, 1 << 40)
since_boot = timerfd(BOOTTIME, 0, 7200)
ready()
began = time.monotonic()
print(poll(cancel, 10000000), end=" ")
try: os.read(cancel, 8)
except OSError as e: print(errno.errorcode[e.errno], end=" ")
print(poll(cancel, 0), poll(wall, 10000000), round(time.monotonic() - began), end=" ")
print(poll(since_boot, 10000000), round(time.monotonic() - began))
""")
        self.world.sleep(60)
        self.world.step(1, 3600)
        said = self.said(process, 10000)
        self.world.step(1, -3600)
        self.assertEqual(said, "True ECANCELED False True 3600 True 7200")

    def test_machines_have_clocks_of_their_own(self):
        program = "ready()\ntime.sleep(10)\nprint(round(time.time()), round(time.clock_gettime(7)))"
        self.world.boot(2, 0)
        began = self.world.real
        here, there = self.member(program, machine=1), self.member(program, machine=2)
        self.assertEqual(self.said(there, 20), "10 15")
        self.assertAlmostEqual(int(self.said(here, 1).split()[0]), began + 10, delta=1)

    def test_a_suspended_machine_stands_still(self):
        program = """
ready()
real, mono, boot = time.time(), time.monotonic(), time.clock_gettime(7)
time.sleep(100)
print(*(round(x, -1) for x in (time.time() - real, time.monotonic() - mono,
                               time.clock_gettime(7) - boot)))
"""
        process = self.member(program, machine=3)
        self.world.sleep(50)
        self.world.suspend(3, True)
        self.world.sleep(DAY)
        self.world.suspend(3, False)
        slept, mono, boot = map(float, self.said(process, 100).split())
        self.assertEqual((slept, boot), (DAY + 50, DAY + 50))
        self.assertEqual(mono, 50)

    def test_an_alarm_ends_a_process_on_time(self):
        process = self.member("C.alarm(500)\nready()\ntime.sleep(501)")
        self.world.sleep(499)
        self.assertIsNone(process.poll())
        self.world.sleep(5)
        self.assertEqual(process.wait(20), -signal.SIGALRM)

    # --- the network ----------------------------------------------------------------------------

    def test_what_the_link_does_to_datagrams(self):
        program = """
s = udp()
ready()
for i in range(200):
    try: s.sendto(b"x", s.getsockname())
    except OSError as e: print(errno.errorcode[e.errno]); break
n = 0
while poll(s.fileno(), 5000) and s.recv(9): n += 1
print(n)
"""
        for state, loss, low, high in ((worlds.UP, 0, 200, 200), (worlds.UP, 300, 110, 170),
                                       (worlds.SILENT, 0, 0, 0)):
            with self.subTest(state=state, loss=loss):
                self.world.link(state, loss)
                received = int(self.run_alone(program))
                self.assertTrue(low <= received <= high, received)
        self.world.link(worlds.UNREACHABLE)
        self.assertEqual(self.run_alone(program), "ENETUNREACH\n0")

    # --- nothing gets around it -----------------------------------------------------------------

    # What makes somebody wait, or tells the time, and need not be held.
    WORK = {"waitpid", "waitid",  # for a child that was killed, or whose descriptor says it is dead
            "accept", "accept4", "recv", "recvfrom", "recvmsg", "connect", "flock",  # not blocking
            "pthread_join", "clock", "clock_getres"}
    TEMPTING = re.compile(
        r"^(time|gettimeofday|ftime|timespec_get|clock|clock_\w+|timerfd_\w+|timer_\w+|[gs]etitimer"
        r"|alarm|ualarm|u?sleep|(clock_)?nanosleep|p?poll|__p?poll_chk|p?select|epoll_p?wait2?"
        r"|wait|wait3|wait4|waitpid|waitid|accept4?|recv\w*|connect|flock|lockf|sigwait\w*|sigtimedwait"
        r"|pause|msgrcv|mq_(timed)?(send|receive)|sem_\w*wait|pthread_(join|cond_\w*wait|\w*timed\w*)|v?fork|read"
        r"|__read_chk|send|sendto|sendmsg|sendmmsg)$")
    PROGRAMS = ("src/estcd/estcd", "src/est-registrar/est-registrar", "src/estc-cli/estc")
    LIBRARIES = ("libcoap", "libssl", "libcrypto", "libsystemd", "libsqlite3")
    # libcrypto's: for hardware, for what it does over TCP, and inside an engine of the kernel.
    UNUSED = {"libcrypto": {"sleep", "usleep", "select", "sendmmsg", "recvmmsg"},
              "libsystemd": {"sendmmsg"}}

    @staticmethod
    def symbols(path, *options):
        listed = subprocess.run(["nm", "-D", *options, str(path)], stdout=subprocess.PIPE, text=True,
                                check=True).stdout
        return {line.split()[-1].split("@")[0] for line in listed.splitlines()}

    def test_every_way_to_wait_or_tell_the_time_is_held(self):
        held = self.symbols(self.world.preload, "--defined-only")
        paths = [harness.BUILD / program for program in self.PROGRAMS]
        needed = {line.split()[2] for path in paths for line in subprocess.run(
            ["ldd", str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
            if line.split()[0].startswith(self.LIBRARIES)}
        self.assertGreaterEqual(len(needed), len(self.LIBRARIES))
        missing = []
        for path in [*paths, *map(pathlib.Path, sorted(needed))]:
            unused = self.UNUSED.get(path.name.split(".")[0], set())
            used = {s for s in self.symbols(path, "--undefined-only") if self.TEMPTING.match(s)}
            missing += [f"{path.name}: {name}" for name in sorted(used - held - self.WORK - unused)]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    harness.main()
