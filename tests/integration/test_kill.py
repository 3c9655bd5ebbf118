#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""SIGKILL after each step of an enrolment, of the worker, of the manager and of both: whoever comes
next ends with a valid certificate, and the registrar has issued exactly one."""
import os
import re
import shutil
import signal
import sqlite3

import harness

STEPS = re.findall(r'X\(ATTEMPT_\w+, "(\w+)"', (harness.ROOT / "src/estcd/attempt.h").read_text())
VICTIMS = ("worker", "manager", "both")


class Kill(harness.ClassSite, harness.TestCase):
    """One registrar for all; each case has a daemon and a state folder of its own."""

    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()

    def rows(self, subject):
        ledger = self.shared.ledger()
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM certificates WHERE subject LIKE ?",
                              (f"%{subject}%",)).fetchone()[0]

    def case(self, step, victim):
        site = self.site_for()
        name = f"gw-{step}-{victim}"
        site.write_config([site.identity(name)])
        site.start_daemon(env={**harness.preload("stall-at-step"), "ESTC_TEST_STEP": step})
        harness.wait_for(lambda: "worker stands still" in site.daemon.log(),
                         f"the worker has done step {step}")
        worker, = site.daemon.children()
        if victim in ("worker", "both"):
            os.kill(worker, signal.SIGKILL)
        if victim in ("manager", "both"):
            os.kill(site.daemon.pid, signal.SIGKILL)
            site.daemon.wait_exit()
            harness.wait_for(lambda: not harness.is_running(worker),
                             "the worker does not go on alone")
            site.start_daemon()
        else:
            harness.wait_for(lambda: worker not in site.daemon.children(), "the worker is gone")
            # It would try again after its back-off; somebody who waits for it asks now.
            done = site.estc("enroll", name)
            self.assertEqual(done.status, harness.DONE, done)
        site.wait_state(name, "valid")
        site.assert_consistent(name)
        self.assertEqual(self.rows(f"gateway-1-{name}"), 1, "one row in the ledger")
        self.assertEqual(site.daemon.stop(), 0)   # which may be writing something
        folder = site.state / "identities" / name
        leftovers = [p for p in folder.rglob("*") if p.name.startswith(".estc-tmp-")]
        self.assertEqual(leftovers, [])

    def test_a_request_that_outlived_its_success(self):
        """Killed between putting the certificate in force and dropping the request: who enrolls anew
        sends it once more, gets the same certificate, and that is a success."""
        site = self.site_for()
        site.write_config([site.identity("gw-again", prove="never")])  # a proof would be a use of it
        site.start_daemon(env={**harness.preload("stall-at-step"), "ESTC_TEST_STEP": "csr"})
        harness.wait_for(lambda: "worker stands still" in site.daemon.log(), "the request is made")
        pending = site.state / "identities/gw-again/pending"
        kept = site.dir / "pending"
        shutil.copytree(pending, kept)
        worker, = site.daemon.children()
        os.kill(worker, signal.SIGKILL)
        harness.wait_for(lambda: worker not in site.daemon.children(), "the worker is gone")
        self.assertEqual(site.estc("enroll", "gw-again").status, harness.DONE)
        before = site.wait_state("gw-again", "valid")["certificate"]
        self.assertEqual(site.daemon.stop(), 0)
        shutil.copytree(kept, pending)
        site.start_daemon()
        done = site.estc("enroll", "gw-again", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        after = site.wait_state("gw-again", "valid")["certificate"]
        self.assertEqual(after["serial"], before["serial"])
        self.assertEqual(after["generation"], before["generation"] + 1)
        self.assertEqual(self.rows("gateway-1-gw-again"), 1)
        self.assertFalse(pending.exists())

    def site_for(self):
        site = self.site()
        site.site, site.port = self.shared.site, self.shared.port
        return site


def add(step, victim):
    def test(self):
        self.case(step, victim)
    setattr(Kill, f"test_{STEPS.index(step)}_{step}_{victim}", test)


for _step in STEPS:
    for _victim in VICTIMS:
        add(_step, _victim)


class Steps(harness.TestCase):
    def test_all_steps_are_known(self):
        self.assertEqual(STEPS, ["open", "credentials", "connect", "cacerts", "attributes", "key",
                                 "csr", "enroll", "check", "prove", "commit"])


if __name__ == "__main__":
    harness.main()
