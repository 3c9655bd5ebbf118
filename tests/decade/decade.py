#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""decade.py [--years N] [--lives LABEL=DURATION,...] [--seed N] [--quiet-world] [--keep DIR]: whether
a gateway keeps its certificates alive for years, with faults of all kinds, by the real programs and
real handshakes, in minutes. Prints figures and problems, and exits 1 when there are any.
"""
import argparse
import collections
import pathlib
import re
import signal
import sys
import time

import faults
import verdict
import world as worlds
from stage import GATEWAY, Stage, harness
from verdict import DAY, HOUR

START = 1893456000  # 2030-01-01: ten years from there cross the end of 31 bits
LOOK = 12 * HOUR  # how often the driver looks, faults apart
SETTLE = 30 * DAY  # of a process, before what it has is held against it
MEMORY_SLACK = 256  # kB: the allocator's, not a leak's
LIVES = "36h=1.5,week=7,month=30,quarter=90,year=365"
# What the daemon's log says of an attempt that failed, for the figures only.
KINDS = (("no answer", "no answer|timed out|did not answer|hung"),
         ("unreachable", "unreachable|refused|reset|connection was lost|not reachable"),
         ("clock or certificate", "expired|not yet valid|valid from|clock"),
         ("untrusted", "trust|chain|vouch"), ("killed", "killed by signal|without a result"))


def parse_lives(text):
    pairs = (part.split("=") for part in text.split(","))
    return {label: int(float(days) * DAY) for label, days in pairs}


class Run:
    def __init__(self, options, world):
        self.world, self.lives = world, parse_lives(options.lives)
        self.end = options.years * faults.YEAR
        kinds = options.only or [kind for kind in faults.KINDS if kind not in options.without]
        self.plan = [] if options.quiet_world else faults.plan(options.seed, options.years, kinds)
        self.stage = Stage(world, self.lives)
        self.hands = faults.Hands(self.stage)
        self.seen = {label: {} for label in self.lives}  # serial -> when it was first found
        self.problems = []
        self.sizes = []  # (pid, time, memory, descriptors, files)
        self.hellos, self.most_hellos = [], 0

    # --- what happens ---------------------------------------------------------------------------

    def look(self):
        now = self.world.now
        for label in self.lives:
            try:
                serial = self.stage.in_force(label)
            except (AssertionError, OSError, ValueError) as problem:
                self.problems.append(f"{self.when()}: {label}: what is in force is unfit: {problem}")
                continue
            if serial:
                self.seen[label].setdefault(serial, now)
        if self.stage.runs():
            self.sizes.append((self.stage.site.daemon.pid, now, *self.stage.size()))
        self.hellos.append((now, self.world.counter("hellos", GATEWAY)))
        while self.hellos[-1][0] - self.hellos[0][0] > DAY:
            self.hellos.pop(0)
        self.most_hellos = max(self.most_hellos, self.hellos[-1][1] - self.hellos[0][1])

    def when(self):
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(self.world.real))

    def wait(self, until):
        while self.world.now < until:
            self.world.wait(min(until, self.world.now + LOOK))
            self.look()

    def play(self):
        self.stage.start_gateway()
        for fault in self.plan:
            self.wait(fault.begin)
            self.hands.begin(fault)
            self.wait(fault.end)
            self.hands.mend(fault)
        self.wait(self.end)

    # --- what is made of it ---------------------------------------------------------------------

    def certificates(self, label, issued):
        """Those of an identity that were found in force. One that was issued and never found is lost,
        and does not count."""
        subject = f"CN=gateway-1-{label}"
        unknown = set(self.seen[label]) - set(issued)
        if unknown:
            self.problems.append(f"{label}: in force, but not in the ledger: {len(unknown)}")
        return [issued[serial][1] for serial in self.seen[label]
                if serial in issued and issued[serial][0] == subject]

    def judge(self):
        start = self.world.start
        issued = self.stage.ledger.certificates()
        broken = [(start + f.begin, start + f.end) for f in self.plan if f.breaks]
        lives = {}
        for label in self.lives:
            life = verdict.Life(self.certificates(label, issued), broken, start, start + self.end)
            lives[label] = life
            for begin, end in life.avoidable():
                self.problems.append(
                    f"{label}: {(end - begin) / 60:.0f} minutes without a valid certificate from "
                    f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(begin))}, which could have been "
                    "avoided")
            if life.too_many():
                self.problems.append(f"{label}: {life.too_many()} certificates more than needed")
        if self.most_hellos > verdict.HELLOS_A_DAY * len(lives):
            self.problems.append(f"{self.most_hellos} handshakes begun in a day")
        return lives

    def growth(self):
        """Of the process that lived longest, from when it had settled: memory, descriptors; and of
        the files, after the last rollover."""
        by_process = collections.defaultdict(list)
        for size in self.sizes:
            by_process[size[0]].append(size)
        longest = max(by_process.values(), key=lambda sizes: sizes[-1][1] - sizes[0][1])
        settled = [s for s in longest if s[1] >= longest[0][1] + SETTLE] or longest[-1:]
        full = faults.SETTLED * self.end
        late = [s for s in self.sizes if s[1] >= full]
        memory, descriptors = (settled[-1][i] - settled[0][i] for i in (2, 3))
        files = late[-1][4] - max(s[4] for s in self.sizes if s not in late)
        days = (settled[-1][1] - settled[0][1]) / DAY
        for grown, most, what in ((memory, MEMORY_SLACK, "kB of memory"), (files, 0, "files"),
                                  (descriptors, 0, "descriptors")):
            if grown > most:
                self.problems.append(f"grown by {grown} {what}")
        return memory, descriptors, files, days, full

    def failures(self):
        """By kind, as the daemon's log has them."""
        counts = collections.Counter()
        for line in self.stage.site.daemon.log().splitlines():
            found = re.search(r"estcd warning: [\w.-]+: (\w+: .*); next: ", line)
            if found:
                kind = [name for name, words in KINDS if re.search(words, found[1])]
                counts[kind[0] if kind else found[1][:60]] += 1
        return counts

    def report(self, real_seconds):
        lives = self.judge()
        memory, descriptors, files, days, full = self.growth()
        issued = self.stage.ledger.count()
        left = [share for life in lives.values() for share in life.remaining()]
        calm = [share for share, free in left if free]
        gaps = sum(verdict.length(life.gaps()) for life in lives.values())
        after = sum(verdict.length(life.recovering()) for life in lives.values())
        avoidable = sum(verdict.length(life.avoidable()) for life in lives.values())
        say = lambda name, value: print(f"{name:<44} {value}")  # noqa: E731
        say("years", f"{self.end / faults.YEAR:g} in {real_seconds:.0f} s")
        say("certificates issued, of these renewals", f"{issued}, {len(left)}")
        say("faults", ", ".join(f"{n} {kind}" for kind, n in sorted(
            collections.Counter(f.kind for f in self.plan).items())) or "none")
        say("failed attempts by kind", ", ".join(
            f"{n} {kind}" for kind, n in self.failures().most_common()) or "none")
        say("datagrams sent by the gateway, lost", "{}, {}".format(
            self.world.counter("datagrams", GATEWAY), self.world.counter("lost")))
        say("most handshakes begun in a day", self.most_hellos)
        say("least life left at a renewal, way open", f"{min(calm, default=1):.1%}")
        say("least life left at a renewal", f"{min((s for s, _ in left), default=1):.1%}")
        say("minutes without a valid certificate", f"{gaps / 60:.0f}")
        say("of these after the fault was mended", f"{after / 60:.0f}")
        say("of these avoidable", f"{avoidable / 60:.0f}")
        say("growth of the daemon in %.0f days" % days,
            f"{memory} kB, {descriptors} descriptors")
        say(f"growth of its files after {full / DAY:.0f} days", files)
        for problem in self.problems[:20]:
            print("PROBLEM:", problem)
        return 1 if self.problems else 0


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Years of a gateway in minutes.")
    parser.add_argument("--years", type=float, default=10)
    parser.add_argument("--lives", default=LIVES, help="LABEL=DAYS,...")
    parser.add_argument("--seed", type=int, default=9148)
    parser.add_argument("--quiet-world", action="store_true", help="no faults")
    for name, text in (("--only", "faults of these kinds"), ("--without", "no such faults")):
        parser.add_argument(name, action="append", default=[], metavar="FAULT", help=text,
                            choices=list(faults.KINDS))
    parser.add_argument("--programs", metavar="DIR",
                        help="installed programs, below DIR; otherwise those of the build folder")
    parser.add_argument("--daemon", metavar="FILE", type=pathlib.Path, help="this one for estcd")
    parser.add_argument("--keep", metavar="DIR", help="copy logs and ledger there")
    options = parser.parse_args(arguments)
    if options.programs:
        folder = pathlib.Path(options.programs)
        for name, program in (("ESTCD", "sbin/estcd"), ("ESTC", "bin/estc"),
                              ("REGISTRAR", "sbin/est-registrar")):
            setattr(harness, name, folder / program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and whatever was started ends with us
    harness.ESTCD = options.daemon or harness.ESTCD
    run = Run(options, worlds.World(harness.BUILD / "tests/decade", START))
    began = time.monotonic()
    try:
        run.play()
        return run.report(time.monotonic() - began)
    except worlds.Hangs as hangs:
        print(f"{run.when()}: nothing moves any more:\n{hangs}\n{run.stage.site.logs()}")
        return 1
    finally:
        if options.keep:
            run.stage.keep_logs(options.keep)
        run.stage.close()


if __name__ == "__main__":
    sys.exit(main())
