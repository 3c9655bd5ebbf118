#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A year of decade.py, with certificates of a week and of a month: what takes less than a minute."""
import contextlib
import io
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import decade  # noqa: E402
import harness  # noqa: E402

LONG = ("link silent for weeks", "registrar away for weeks")  # hundreds of attempts in vain each


class Year(unittest.TestCase):
    def test_no_minute_without_a_certificate_that_could_have_been_avoided(self):
        arguments = ["--years", "1", "--lives", "week=7,month=30"]
        for fault in LONG:
            arguments += ["--without", fault]
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = decade.main(arguments)
        for line in said.getvalue().splitlines():
            print("#", line)
        self.assertEqual(status, 0, said.getvalue())
        self.assertRegex(said.getvalue(), r"certificates issued, of these renewals +[1-9]\d+, [1-9]\d")


if __name__ == "__main__":
    harness.main()
