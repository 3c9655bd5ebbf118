#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clocks that are wrong, or are set while one looks. The wall clocks of daemon and registrar are
moved by a preload; the machine's own is not touched."""
import calendar
import contextlib
import json
import os
import signal
import sqlite3
import struct
import time

import harness

HOUR = 3600
DAY = 24 * HOUR
YEAR = 365 * DAY


def since_1970():
    """How far ahead a clock is that begins at zero now."""
    return -int(time.time())


class Clock:
    """A wall clock that is `ahead` of the machine's by so many seconds."""

    def __init__(self, site, name, ahead):
        self.path = site.dir / f"{name}.clock"
        self.news = site.dir / f"{name}.clock-set"
        os.mkfifo(self.news)
        self.news.chmod(0o666)
        self.move(ahead)

    def move(self, ahead):
        with open(self.path, "r+b" if self.path.exists() else "w+b") as file:
            file.write(struct.pack("=q", ahead))

    def set(self, ahead):
        """As somebody does who sets it: the programs hear of it."""
        self.move(ahead)
        with open(self.news, "r+b", buffering=0) as fifo:
            fifo.write(b"set now!")

    def env(self, *more, hears=True):
        """For a program with this clock; `more` are further preloads."""
        libraries = [harness.preload(name)["LD_PRELOAD"] for name in ("set-clock", *more)]
        env = {"LD_PRELOAD": ":".join(libraries), "ESTC_TEST_CLOCK": str(self.path)}
        return {**env, "ESTC_TEST_CLOCK_SET": str(self.news)} if hears else env


class ClockCase(harness.TestCase):
    def world(self, registrar=0, daemon=0, arguments=(), preloads=(), environment=None):
        """A site whose registrar and daemon are ahead by so many seconds; not started."""
        site = self.site()
        site.daemon_clock = Clock(site, "daemon", daemon)
        site.registrar_clock = Clock(site, "registrar", registrar)
        site.daemon_env = {**site.daemon_clock.env(*preloads), **(environment or {})}
        theirs = site.registrar_clock.env(hears=False)
        with contextlib.ExitStack() as stack:
            for key, value in theirs.items():
                before = os.environ.get(key)
                os.environ[key] = value
                stack.callback(lambda k=key, v=before: os.environ.pop(k) if v is None
                               else os.environ.__setitem__(k, v))
            site.init_registrar("--device", "gateway-1", *arguments)
        site.start_registrar(env=theirs)
        site.write_config([site.identity("gw")])
        return site

    def start(self, site):
        return site.start_daemon(env=site.daemon_env)

    def issued(self, site):
        with sqlite3.connect(f"file:{site.ledger()}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM certificates WHERE subject LIKE '%gateway-1-gw%'"
                              ).fetchone()[0]

    def wait_log(self, site, text):
        harness.wait_for(lambda: text in site.daemon.log(), f"the log says '{text}'")


class Behind(ClockCase):
    """Years back, as without a battery."""

    def test_a_clock_of_1970_neither_stops_nor_expires_anything(self):
        # The CA's certificates begin two years after anything that this machine can know of.
        site = self.world(registrar=2 * YEAR, daemon=since_1970())
        self.start(site)
        before = site.wait_state("gw", "valid")
        self.wait_log(site, "the system clock says 1970-01-01T")
        self.wait_log(site, "the date of this program is later")
        harness.wait_for(lambda: site.daemon.notified_part("; the clock is not set"), "the status")
        self.assertEqual(site.daemon.stop(), 0)
        # After a power cut the clock knows as little as before; the certificate knows more.
        site.daemon_clock.move(since_1970())
        (site.state / "clock.json").unlink()
        self.start(site)
        shown = site.wait_state("gw", "valid")
        self.assertEqual(shown["certificate"]["serial"], before["certificate"]["serial"])
        self.assertEqual(shown["next_action"], "renew")
        self.assertGreater(shown["next_due"], shown["certificate"]["not_before"])
        self.assertLess(shown["next_due"], shown["certificate"]["not_after"])
        self.wait_log(site, "that was issued to us is later")
        done = site.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        # A time server is heard of.
        site.daemon_clock.set(2 * YEAR)
        self.wait_log(site, "the system clock is believed again")
        self.assertEqual(site.wait_state("gw", "valid")["exit_code"], harness.DONE)
        self.assertEqual(self.issued(site), 2)

    def test_what_was_known_is_written_down(self):
        # A day ahead: what the program knows by its own date may be as young as this minute.
        site = self.world(registrar=DAY, daemon=since_1970())
        self.start(site)
        begins = site.wait_state("gw", "valid")["certificate"]["not_before"]
        self.assertEqual(site.daemon.stop(), 0)
        passed = json.loads((site.state / "clock.json").read_text())["passed"]
        self.assertGreaterEqual(passed, begins)
        self.assertLess(passed, time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                              time.gmtime(time.time() + DAY)))
        # A year later by that note, with nothing else left to know it from.
        later = time.gmtime(time.time() + YEAR)
        (site.state / "clock.json").write_text(
            json.dumps({"passed": time.strftime("%Y-%m-%dT%H:%M:%SZ", later)}))
        self.start(site)
        self.wait_log(site, "when it was last written down is later")
        # The certificate of 90 days has expired by then, whatever the clock says.
        site.wait_state("gw", "expired")

    def test_what_ended_below_the_floor_is_refused(self):
        # Certificates of this CA ended before the program was made.
        site = self.world(registrar=-2 * YEAR, daemon=since_1970())
        self.start(site)
        error = site.wait_state("gw", "failing")["last_error"]
        self.assertIn("expired", error)
        self.assertIn("(now: at least ", error)
        self.assertFalse(site.current("gw").exists())

    def test_a_clock_that_may_be_right_relaxes_nothing(self):
        site = self.world(registrar=2 * YEAR)
        self.start(site)
        error = site.wait_state("gw", "failing")["last_error"]
        self.assertIn("is not valid before", error)
        self.assertIn("clock may be wrong", error)


class HoursBehind(ClockCase):
    """Later than anything that bears witness, so it may be right, and the CA's may be wrong."""

    def renewed(self, lifetime, ahead):
        """A site where a renewal came from a CA whose clock is ahead; (site, old serial, what estc
        said)."""
        site = self.world(arguments=("--lifetime", lifetime))
        self.start(site)
        before = site.wait_state("gw", "valid")["certificate"]["serial"]
        site.registrar_clock.move(ahead)
        return site, before, site.estc("renew", "gw", "--force")

    def test_what_begins_later_is_kept_and_asked_for_once(self):
        site, before, done = self.renewed("90d", 6 * HOUR)
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertIn("kept until it has begun", site.show("gw")["last_error"])
        for _ in range(2):
            self.assertEqual(site.estc("retry", "gw").status, harness.FAILED)
        self.assertEqual(site.show("gw")["certificate"]["serial"], before)
        site.daemon_clock.set(6 * HOUR)
        self.assertTrue(site.wait_serial("gw", before))
        site.wait_state("gw", "valid")
        self.assertEqual(self.issued(site), 2)

    def test_the_one_in_force_is_not_kept_past_its_end_by_the_clock_of_the_ca(self):
        site, before, done = self.renewed("8h", 7 * HOUR + 45 * 60)
        self.assertEqual(done.status, harness.DONE, done)
        self.assertNotEqual(site.show("gw")["certificate"]["serial"], before)


class Ahead(ClockCase):
    def test_years_ahead_leave_no_trace(self):
        site = self.world()
        self.start(site)
        before = site.wait_state("gw", "valid")["certificate"]["serial"]
        site.daemon_clock.set(30 * YEAR)
        shown = site.wait_state("gw", "expired")
        harness.wait_for(lambda: site.show("gw")["failures"] > 0, "it is refused")
        self.assertIn("expired", site.show("gw")["last_error"])
        self.assertEqual(shown["certificate"]["serial"], before)
        site.daemon_clock.set(0)
        done = site.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        site.wait_state("gw", "valid")
        self.assertEqual(site.daemon.stop(), 0)
        self.start(site)
        self.assertEqual(site.wait_state("gw", "valid")["next_action"], "renew")
        self.assertNotIn("cannot be", site.daemon.log())
        site.assert_consistent("gw")


    def test_a_season_ahead_costs_the_ca_one_certificate(self):
        """All that it issues has expired by our clock: it is asked for the same again and again."""
        site = self.world(daemon=100 * DAY)
        self.start(site)
        harness.wait_for(lambda: site.show("gw")["failures"] > 0, "it is refused")
        self.assertRegex(site.show("gw")["last_error"], "the issued certificate.*expired")
        for _ in range(2):
            self.assertNotEqual(site.estc("retry", "gw").status, harness.DONE)
        self.assertEqual(self.issued(site), 1)
        site.daemon_clock.set(0)
        self.assertEqual(site.estc("enroll", "gw").status, harness.DONE)
        self.assertEqual(self.issued(site), 1)
        site.assert_consistent("gw")


class Steps(ClockCase):
    """Set in the middle of an attempt, which stands still until then."""

    def case(self, before, after):
        site = self.world(daemon=before, preloads=("stall-at-step",),
                          environment={"ESTC_TEST_STEP": "connect"})
        self.start(site)
        self.wait_log(site, "worker stands still")
        site.daemon_clock.set(after)
        shown = site.wait_state("gw", "valid")
        self.wait_log(site, "the attempt begins again, since the clock was set")
        self.assertEqual(shown["failures"], 0)
        self.assertEqual(self.issued(site), 1)

    def test_forwards(self):
        self.case(since_1970(), 0)

    def test_an_hour_forwards(self):
        self.case(-1800, 1800)

    def test_backwards(self):
        self.case(30 * DAY, 0)


class Far(ClockCase):
    """Beyond what 32 bits and two digits of a year hold."""

    def case(self, year):
        ahead = int(calendar.timegm((year, 1, 19, 3, 14, 0)) - time.time())
        site = self.world(registrar=ahead, daemon=ahead, arguments=("--lifetime", "12s"))
        self.start(site)
        first = site.wait_state("gw", "valid")["certificate"]
        self.assertEqual(first["not_after"][:4], str(year))
        self.assertTrue(site.wait_serial("gw", first["serial"]))
        self.assertEqual(site.daemon.stop(signal.SIGTERM), 0)

    def test_across_2038(self):
        self.case(2038)

    def test_2050(self):
        self.case(2050)


if __name__ == "__main__":
    harness.main()
