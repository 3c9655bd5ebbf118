#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tests/rules.txt is well formed, leaves nothing out that it must not, and has every ID that the
name of a test, or of a row in a test's table, quotes."""
import re
import sys

from tree import ROOT, Tap, read, tracked

sys.path.insert(0, str(ROOT / "tools"))

import rulebook  # noqa: E402

# Functions and rows: static void b02_x(void **state) · def test_b02_x(self) · {"b02_x", ...}
NAMES = re.compile(r"\b(?:static void |def test_)((?:[a-z]\d\d_)+)|\"((?:[a-z]\d\d_)+)[a-z]")


def may_be_left_out(rule):
    return (rule.level in ("PROF", "DRAFT") or
            rule.ruled_out.startswith(("DTLS 1.3", "connection ids")))


def main():
    tap = Tap()
    try:
        book = rulebook.load()
    except ValueError as error:
        tap.point(False, "tests/rules.txt can be read", str(error))
        tap.finish()
    ids = list(book)
    tap.problems("rules stand in the order of their numbers, none left out",
                 [f"{old}, then {new}" for old, new in zip(ids, ids[1:])
                  if new not in (f"{old[0]}-{int(old[2:]) + 1:02}", f"{new[0]}-01")])
    tap.problems("only DTLS 1.3, connection ids, PROF and DRAFT are ruled out",
                 [f"{rule.id}: {rule.ruled_out}" for rule in book.values()
                  if rule.ruled_out and not may_be_left_out(rule)])
    tap.problems("every ID that a test quotes is a rule's",
                 [f"{path}: {word}" for path in tracked("tests/unit/*.c", "tests/integration/*.py")
                  for match in NAMES.finditer(read(path))
                  for word in (match[1] or match[2]).strip("_").split("_")
                  if f"{word[0].upper()}-{word[1:]}" not in book])
    tap.finish()


if __name__ == "__main__":
    main()
