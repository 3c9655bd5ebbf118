#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Five weeks of decade.py without a clock of one's own: again and again the power fails, and the clock
begins in 1970 and is set hours or days later, while certificates live 36 hours.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
import lived  # noqa: E402


class NoClock(lived.Lived):
    def test_certificates_older_than_they_seem_are_renewed_in_time(self):
        self.live("--years", "0.1", "--lives", "36h=1.5", "--only", "power cut, clock begins in 1970")


if __name__ == "__main__":
    harness.main()
