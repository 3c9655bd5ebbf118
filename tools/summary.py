#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""summary.py BUILDDIR STATUS: one line "N passed, N failed, N skipped" for a run of `meson test`.

Counts what meson wrote down: each point of a TAP program by itself, any other program as one test.
A program that failed without a failed point (it crashed at its end, ran into its timeout, or broke
its plan) counts as one failure more. A skip is a failure unless tests/skips.txt expects it and says
why. Exits non-zero when anything failed, or when STATUS, meson's own exit status, was not 0.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

SKIPS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "skips.txt"


def expected_skips():
    """The patterns of tests/skips.txt: lines "PATTERN -- WHY", matched against "TEST: REASON"."""
    patterns = []
    for line in SKIPS.read_text().splitlines():
        if line and not line.startswith("#"):
            pattern, why = line.split(" -- ", 1)
            patterns.append((re.compile(pattern), why))
    return patterns


def short(name):
    """ "estcd:unit / buf" -> "buf" """
    return name.split(" / ")[-1].split(":")[-1]


def points(build):
    """(program, point, outcome, reason) for each test point; outcome is passed, failed, skipped."""
    file = build / "meson-logs" / "testlog.junit.xml"
    for suite in ElementTree.parse(file).getroot().iter("testsuite"):
        # A TAP program has a suite of its own, "PROJECT.NAME"; all others share "PROJECT".
        _, _, program = suite.get("name").partition(".")
        for case in suite.iter("testcase"):
            reason = (case.findtext("system-out") or "").strip().splitlines()
            if case.find("failure") is not None or case.find("error") is not None:
                outcome = "failed"
            elif case.find("skipped") is not None:
                outcome = "skipped"
            else:
                outcome = "passed"
            yield short(program or case.get("name")), case.get("name"), outcome, (reason or [""])[-1]


def programs(build):
    """(program, result) as meson judged it."""
    with open(build / "meson-logs" / "testlog.json") as log:
        for line in log:
            entry = json.loads(line)
            yield short(entry["name"]), entry["result"]


def main():
    build, status = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failed_programs = set()
    allowed = expected_skips()

    def fail(text):
        print(f"FAILED {text}")
        counts["failed"] += 1

    try:
        for program, point, outcome, reason in points(build):
            where = f"{program}: {point}"
            if outcome == "skipped" and not any(p.search(f"{where}: {reason}") for p, _ in allowed):
                fail(f"{where}: skipped ({reason or 'no reason'}), which tests/skips.txt does not "
                     "expect")
            elif outcome == "failed":
                fail(where)
                failed_programs.add(program)
            else:
                counts[outcome] += 1
        for program, result in programs(build):
            if result not in ("OK", "SKIP", "EXPECTEDFAIL") and program not in failed_programs:
                fail(f"{program}: {result}, although no point of it failed")
    except (OSError, ValueError, ElementTree.ParseError) as error:
        fail(f"no test results: {error}")
    if status != 0 and counts["failed"] == 0:
        fail(f"meson test ended with status {status}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
