#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether decade.py can fail: schedulers that are broken on purpose (broken.c) live for some months,
and each is found out by what it does, and the same program with the real one is not.
"""
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402

DECADE = pathlib.Path(__file__).resolve().parent / "decade.py"
PROGRAM = harness.BUILD / "tests/decade/estcd-broken"

AWAY = ("--years", "0.045", "--lives", "week=7", "--only", "link silent for weeks", "--seed", "287")


class Broken(unittest.TestCase):
    def live(self, how, *arguments):
        """(exit status, problems) of some months with one scheduler."""
        done = subprocess.run(
            [sys.executable, DECADE, "--daemon", PROGRAM, "--lives", "day=1,week=7", *arguments],
            stdout=subprocess.PIPE, text=True, timeout=280,
            env={**os.environ, "DECADE_BROKEN": how})
        return done.returncode, "\n".join(re.findall("^PROBLEM: (.*)$", done.stdout, re.M))

    def assert_found(self, how, problem, *arguments):
        status, problems = self.live(how, *arguments)
        self.assertEqual(status, 1)
        self.assertRegex(problems, problem)

    def test_the_same_program_with_the_real_schedule_passes(self):
        self.assertEqual(self.live("", "--years", "0.1"), (0, ""))

    def test_renewing_late_is_noticed(self):
        self.assert_found("late", "could have been avoided", "--years", "0.02", "--quiet-world")

    def test_giving_up_is_noticed(self):
        self.assert_found("gives-up", "could have been avoided", *AWAY)

    def test_trying_without_a_pause_is_noticed(self):
        self.assert_found("hasty", "handshakes begun in a day", "--years", "0.0098", "--seed", "748",
                          "--lives", "day=1", "--only", "link silent")

    def test_waiting_longer_than_life_allows_is_noticed(self):
        self.assert_found("patient", "could have been avoided", "--years", "0.1")

    def test_renewing_without_need_is_noticed(self):
        self.assert_found("eager", "more than needed", "--years", "0.01", "--quiet-world")

    def test_never_going_back_to_the_birth_certificate_is_noticed(self):
        self.assert_found("proud", "could have been avoided", *AWAY)


if __name__ == "__main__":
    harness.main()
