#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A year of decade.py, with certificates of a week and of a month: what takes less than a minute."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
import lived  # noqa: E402

LONG = ("link silent for weeks", "registrar away for weeks")  # hundreds of attempts in vain each


class Year(lived.Lived):
    def test_no_minute_without_a_certificate_that_could_have_been_avoided(self):
        arguments = ["--years", "1", "--lives", "week=7,month=30"]
        for fault in LONG:
            arguments += ["--without", fault]
        self.live(*arguments)


if __name__ == "__main__":
    harness.main()
