#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""conformance.py [--tests] BUILDDIR: which rule of tests/rules.txt which test shows.

Reads what the last `meson test` in BUILDDIR wrote down; the IDs come from the names of the tests.
Prints one line a rule, and with --tests each test below it. Exits 1 when a rule that binds a client
or a server, MAY excepted, has no test that passed, when a test that quotes it failed, or when a test
quotes an ID that does not exist.
"""
import argparse
import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

import rulebook
import summary

# What meson keeps in front of a name: "12 - ".
NUMBER = re.compile(r"^\d+ - ")


def results(build):
    """ID -> [(outcome, "program: test")], each test once."""
    found = collections.defaultdict(dict)
    for program, point, outcome, _ in summary.points(build):
        for rule in rulebook.quoted(point):
            found[rule][f"{program}: {NUMBER.sub('', point)}"] = outcome
    return {rule: [(outcome, name) for name, outcome in tests.items()]
            for rule, tests in found.items()}


def verdict(rule, tests):
    """One word for the last column, and the reason when there is no test of it."""
    outcomes = {outcome for outcome, _ in tests}
    if rule.ruled_out:
        return f"ruled out ({rule.ruled_out})"
    if "failed" in outcomes:
        return "FAILED"
    if "passed" in outcomes:
        return "passed"
    if not rule.needs_test:
        return "no test (optional)"
    return "SKIPPED" if outcomes else "NO TEST"


def shown(tests):
    """The first test, and how many there are besides."""
    if not tests:
        return ""
    name = tests[0][1]
    short = name if len(name) <= 52 else name[:51] + "…"
    return short + (f" +{len(tests) - 1}" if len(tests) > 1 else "")


def main():
    parser = argparse.ArgumentParser(description="Which rule which test shows.")
    parser.add_argument("--tests", action="store_true", help="name every test")
    parser.add_argument("build", type=pathlib.Path)
    arguments = parser.parse_args()
    book = rulebook.load()
    try:
        found = results(arguments.build)
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"conformance: no results in {arguments.build} (run the tests first): {error}")
    counts = collections.Counter()
    print(f"{'ID':<5}| {'LEVEL':<9}| {'RULE':<49}| {'TESTS':<58}| RESULT")
    for rule in book.values():
        tests = found.get(rule.id, [])
        result = verdict(rule, tests)
        counts[result.partition(" (")[0]] += 1
        print(f"{rule.id:<5}| {rule.level:<9}| {rule.text:<49}| "
              f"{'' if arguments.tests else shown(tests):<58}| {result}")
        if arguments.tests:
            for outcome, name in tests:
                print(f"{'':5}|   {outcome:<7} {name}")
    unknown = sorted(set(found) - set(book))
    for rule in unknown:
        print(f"{rule}: no such rule, quoted by {found[rule][0][1]}", file=sys.stderr)
    bad = counts["FAILED"] + counts["SKIPPED"] + counts["NO TEST"]
    print(f"\n{counts['passed']} rules tested, {counts['FAILED']} failed, "
          f"{counts['NO TEST'] + counts['SKIPPED']} without a test, "
          f"{counts['ruled out']} ruled out, "
          f"{counts['no test']} optional without a test")
    sys.exit(1 if bad or unknown else 0)


if __name__ == "__main__":
    main()
