#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What ./dev flood shows, for seconds instead of half a minute."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import flood  # noqa: E402
import harness  # noqa: E402


class Flood(harness.TestCase):
    def test_z03_a_flood_of_first_messages_keeps_nobody_out(self):
        done = flood.run(self.site(), rate=2000 // harness.PATIENCE, ports=1000, seconds=4,
                         clients=10)
        self.assertEqual(done.failed, [])
        broken = [figure for figure in done.figures() if not figure[3]]
        self.assertEqual(broken, [])


if __name__ == "__main__":
    harness.main()
