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
CALM = 10  # looks, in one of which nothing is under way
SETTLE = 30 * DAY  # of a process, before what it has is held against it
# kB: the allocator's, not a leak's; the registrar has SQLite's page cache besides.
MEMORY_SLACK = {"the gateway's": 256, "the registrar's": 256 + 2000}
# A deployment that has failed is asked for again after six hours at the most; the driver looks then.
BEHIND = 6 * HOUR + 2 * LOOK
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
        self.sizes = collections.defaultdict(list)  # (name, pid) -> (time, memory, descriptors)
        self.files = []  # (time, how many)
        self.behind = None  # since when the service has not had the certificate in force
        self.deployed, self.longest_behind = 0, 0
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
            last = next(reversed(self.seen[label]), None)
            if serial and (serial == last or serial not in self.seen[label]):
                self.seen[label][serial] = self.seen[label].get(serial, now)
            elif last:
                self.problems.append(f"{self.when()}: {label}: what was in force is in force no more")
        self.look_at_service()
        for name, process in self.stage.daemons():
            self.sizes[name, process.pid].append((now, *self.stage.size(process)))
        self.files.append((now, self.stage.n_files()))
        self.hellos.append((now, self.world.counter("hellos", GATEWAY)))
        while self.hellos[-1][0] - self.hellos[0][0] > DAY:
            self.hellos.pop(0)
        self.most_hellos = max(self.most_hellos, self.hellos[-1][1] - self.hellos[0][1])

    def look_at_service(self):
        """Has what is to be deployed deployed; how long that took is counted while nothing hinders."""
        waited = self.stage.behind()
        self.stage.deploy()
        if not self.stage.behind():
            self.deployed += waited
            self.behind = None
        elif self.stage.hindered() or self.behind is None:
            self.behind = self.world.now
        else:
            self.longest_behind = max(self.longest_behind, self.world.now - self.behind)

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

    def growth(self, name):
        """Of a daemon's process that lived longest, from when it had settled: memory, descriptors,
        days."""
        longest = max((sizes for (of, _), sizes in self.sizes.items() if of == name),
                      key=lambda sizes: sizes[-1][0] - sizes[0][0])
        settled = [s for s in longest if s[0] >= longest[0][0] + SETTLE] or longest[-1:]
        # Some are there only while somebody is at work: those are counted that never go.
        memory = settled[-1][1] - settled[0][1]
        descriptors = min(s[2] for s in settled[-CALM:]) - min(s[2] for s in settled[:CALM])
        for grown, most, what in ((memory, MEMORY_SLACK[name], "kB of memory"),
                                  (descriptors, 0, "descriptors")):
            if grown > most:
                self.problems.append(f"{name} daemon has grown by {grown} {what}")
        return memory, descriptors, (settled[-1][0] - settled[0][0]) / DAY

    def more_files(self):
        """After the last rollover: how many more than ever before, and from when."""
        full = faults.SETTLED * self.end
        more = self.files[-1][1] - max(n for at, n in self.files if at < full)
        if more > 0:
            self.problems.append(f"{more} files more")
        return more, full

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
        if self.longest_behind > BEHIND:
            self.problems.append(
                f"a certificate was not deployed for {self.longest_behind / HOUR:.0f} hours")
        grown = {name: self.growth(name) for name, _ in self.stage.daemons()}
        files, full = self.more_files()
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
        say("deployed, longest wait with nothing broken",
            f"{self.deployed}, {self.longest_behind / HOUR:.0f} h")
        for name, (memory, descriptors, days) in grown.items():
            say(f"growth of {name} daemon in {days:.0f} days",
                f"{memory} kB, {descriptors} descriptors")
        say(f"growth of the gateway's files after {full / DAY:.0f} days", files)
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
