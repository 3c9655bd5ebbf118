#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The judge judged: lives made by hand, good ones and bad ones."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
from verdict import DAY, HOUR, MINUTE, Certificate, Life, length, merge, without  # noqa: E402


def chain(*issued, life=DAY):
    return [Certificate(str(at), at, at, at + life) for at in issued]


class Spans(unittest.TestCase):
    def test_spans_are_merged_and_taken_away(self):
        self.assertEqual(merge([(5, 6), (1, 3), (2, 4), (6, 7)]), [(1, 4), (5, 7)])
        self.assertEqual(without(0, 10, [(1, 2), (8, 20)]), [(0, 1), (2, 8)])
        self.assertEqual(without(0, 10, []), [(0, 10)])
        self.assertEqual(without(3, 4, [(0, 10)]), [])


class Lives(unittest.TestCase):
    def test_renewals_in_time_leave_no_gap(self):
        life = Life(chain(*range(0, 10 * DAY, 16 * HOUR)), [], 0, 10 * DAY)
        self.assertEqual((life.gaps(), life.avoidable(), life.too_many()), ([], [], None))
        self.assertAlmostEqual(min(life.remaining())[0], 1 / 3)

    def test_late_without_a_reason_could_have_been_avoided(self):
        life = Life(chain(0, DAY + MINUTE), [], 0, 2 * DAY)
        self.assertEqual(length(life.avoidable()), MINUTE)

    def test_an_outage_from_before_it_was_due_excuses_and_an_hour_more(self):
        outage = (10 * HOUR, 2 * DAY)
        for back, avoidable in ((HOUR, 0), (2 * HOUR, 45 * MINUTE)):
            life = Life(chain(0, 2 * DAY + back), [outage], 0, 3 * DAY)
            self.assertEqual(length(life.gaps()), DAY + back)
            self.assertEqual(length(life.avoidable()), avoidable)
            self.assertEqual(length(life.recovering()), back)

    def test_an_outage_excuses_nobody_who_could_have_renewed_before(self):
        life = Life(chain(0, 2 * DAY), [(22 * HOUR, 2 * DAY)], 0, 3 * DAY)
        self.assertEqual(length(life.avoidable()), DAY)

    def test_nor_does_a_way_that_opened_in_between(self):
        first, second = (10 * HOUR, 20 * HOUR), (22 * HOUR, 2 * DAY)
        life = Life(chain(0, 2 * DAY), [first, second], 0, 3 * DAY)
        self.assertEqual(length(life.avoidable()), DAY)

    def test_but_a_moment_is_no_way(self):
        first, second = (10 * HOUR, 20 * HOUR), (20 * HOUR + 5 * MINUTE, 2 * DAY)
        life = Life(chain(0, 2 * DAY), [first, second], 0, 3 * DAY)
        self.assertEqual(life.avoidable(), [])

    def test_no_certificate_at_all(self):
        life = Life([], [], 0, DAY)
        self.assertEqual(length(life.avoidable()), DAY - 75 * MINUTE)

    def test_issuing_without_need_is_noticed(self):
        life = Life(chain(*range(0, DAY, MINUTE)), [], 0, DAY)
        self.assertGreater(life.too_many(), 1000)


if __name__ == "__main__":
    harness.main()
