#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Some points of crash.py, spread over a whole enrolment and a whole renewal."""
import contextlib
import io
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import crash  # noqa: E402
import harness  # noqa: E402

EVERY = 13  # calls


@unittest.skipUnless(os.geteuid() == 0, "needs root: a worker lets nobody else look at its files")
class Crash(unittest.TestCase):
    def test_no_kill_and_no_failure_loses_anything(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = crash.main(["--every", str(EVERY)])
        self.assertEqual(status, 0, said.getvalue())
        for line in said.getvalue().splitlines():
            print("#", line)
        self.assertRegex(said.getvalue(), r"(?m)^(\d+) kinds of fsync and rename, \1 of them missed$")
        self.assertRegex(said.getvalue(), r"(?m)^[1-9]\d+ points, \d+ consistent$")


if __name__ == "__main__":
    harness.main()
