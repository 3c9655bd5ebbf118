#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What many identities cost: estcd with the state folder of a gateway that has been at work, started,
listed, scheduled, reloaded and left alone. Prints every figure with its bound, and fails when one is
beyond it.

    tests/bench/scale.py [--identities N] [--quiet SECONDS] [--reloads N]

Processor time is what the kernel counted (/proc/PID/schedstat, rusage), user and system together;
nothing is judged by the wall clock. Resident means everything that is, shared libraries included.
"""
import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
from population import Population, name_of  # noqa: E402

FIRST_KB = 6 * 1024   # resident, with one identity
FURTHER_B = 1500      # for each further one
LIST_MS = 100         # at 10,000, daemon and command together; with few, starting estc counts most
EMPTY_LIST_MS = 25
READY_MS = 2000       # at 10,000, on a processor
PASS_MS = 5           # at 10,000
WHOLE = 10_000        # what the bounds above are about


class Daemon:
    """estcd on a population."""

    def __init__(self, population):
        self.population = population
        began = time.monotonic()
        self.process = harness.Process("estcd", [harness.ESTCD, "-c", population.conf],
                                       population.folder)
        self.process.wait_ready(120)
        self.ready_wall, self.ready_cpu = time.monotonic() - began, self.cpu()

    def cpu(self):
        """Seconds on a processor until now, user and system."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def memory(self):
        """kB by the names of /proc/PID/smaps_rollup: Rss, Pss, Anonymous, ..."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]
        return {line.split(":")[0]: int(line.split()[1]) for line in lines}

    def switches(self):
        """How often it has gone to sleep: once after each time it woke up."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("voluntary_ctxt_switches:")[1].split()[0])

    def estc(self, *arguments, **options):
        return harness.run(harness.ESTC, "--socket", self.population.socket, *arguments, **options)

    def cost(self, *arguments):
        """Processor seconds of daemon and command, and what it printed."""
        before, of_children = self.cpu(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = self.estc(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.status == 0, done
        command = (after.ru_utime - of_children.ru_utime) + (after.ru_stime - of_children.ru_stime)
        return self.cpu() - before, command, done

    def stop(self):
        self.process.stop()


def best(measure, times=3):
    """The cheapest of a few: what others on the machine do only ever adds."""
    return min((measure() for _ in range(times)), key=lambda found: found[0] + found[1])


class Report:
    def __init__(self):
        self.failed = 0

    def line(self, what, value, unit, bound=None):
        beyond = bound is not None and value > bound
        self.failed += beyond
        limit = "" if bound is None else f"  (at most {bound:g})"
        print(f"{'TOO MUCH: ' if beyond else ''}{what}: {value:,.1f} {unit}{limit}", flush=True)


def measure_list(daemon, report, scale):
    for name, arguments in (("list", ["list"]), ("list --json", ["list", "--json"])):
        ours, command, done = best(lambda a=arguments: daemon.cost(*a))
        report.line(f"{name}: daemon", ours * 1000, "ms")
        report.line(f"{name}: command", command * 1000, "ms")
        report.line(f"{name}: together", (ours + command) * 1000, "ms",
                    max(LIST_MS * scale, EMPTY_LIST_MS))
        report.line(f"{name}: printed", len(done.out) / 1024, "kB")


def measure_pass(daemon, report, scale):
    """A pause is one plan, one small file and one pass over everything."""
    name = name_of(0)
    ours, _, _ = best(lambda: (daemon.cost("pause", name), daemon.estc("resume", name))[0])
    report.line("one pass of scheduling", ours * 1000, "ms", PASS_MS * scale + 2)


def measure_quiet(daemon, report, seconds):
    before = daemon.switches()
    time.sleep(seconds)
    report.line(f"wake-ups in {seconds} quiet seconds", daemon.switches() - before, "", 0)


def measure_reloads(daemon, report, times):
    daemon.estc("reload")
    before = daemon.memory()["Rss"]
    cost = min(daemon.cost("reload")[0] for _ in range(times))
    report.line("one reload", cost * 1000, "ms")
    report.line(f"growth over {times} reloads", daemon.memory()["Rss"] - before, "kB", before * 0.1)


def resident(daemon, report, what, bound=None):
    memory = daemon.memory()
    report.line(f"resident, {what}", memory["Rss"], "kB", bound)
    report.line(f"    of these its own (anonymous), {what}", memory["Anonymous"], "kB")
    return memory["Rss"]


def measure(folder, count, quiet, reloads):
    report = Report()
    scale = count / WHOLE
    folder = pathlib.Path(folder)
    (folder / "one").mkdir()
    (folder / "many").mkdir()
    one = Daemon(Population(folder / "one", 1).make())
    first = resident(one, report, "1 identity", FIRST_KB)
    if quiet:
        measure_quiet(one, report, quiet)
    one.stop()
    began = time.monotonic()
    population = Population(folder / "many", count).make()
    print(f"# {count} identities made in {time.monotonic() - began:.0f} s", flush=True)
    many = Daemon(population)
    report.line("start to READY, wall clock", many.ready_wall * 1000, "ms")
    report.line("start to READY, processor", many.ready_cpu * 1000, "ms", READY_MS * scale + 200)
    rss = resident(many, report, f"{count} identities")
    report.line("each further identity", (rss - first) * 1024 / (count - 1), "bytes", FURTHER_B)
    measure_list(many, report, scale)
    rss = resident(many, report, "after the lists")
    report.line("each further identity, after the lists", (rss - first) * 1024 / (count - 1), "bytes")
    measure_pass(many, report, scale)
    measure_reloads(many, report, reloads)
    many.stop()
    return report.failed


def main():
    parser = argparse.ArgumentParser(description="what many identities cost")
    parser.add_argument("--identities", type=int, default=WHOLE)
    parser.add_argument("--quiet", type=int, default=60, help="seconds to look on; 0: none")
    parser.add_argument("--reloads", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="estc-") as folder:
        failed = measure(folder, options.identities, options.quiet, options.reloads)
    print(f"{failed} beyond their bounds" if failed else "all within their bounds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
