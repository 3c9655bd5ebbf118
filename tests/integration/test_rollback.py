#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""estc rollback: back to the certificate before, for as long as it is safe."""
import os
import signal

import harness


class Rollback(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw")])
        self.s.start_daemon()
        self.first = self.s.wait_state("gw", "valid")["certificate"]

    def renew(self):
        self.assertEqual(self.s.estc("renew", "gw", "--force").status, harness.DONE)
        return self.s.show("gw")["certificate"]

    def assert_refused(self, before):
        done = self.s.estc("rollback", "gw")
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertIn("no earlier certificate", done.err)
        after = self.s.show("gw")
        self.assertEqual(after["certificate"], before)
        self.assertEqual((after["state"], after["failures"]), ("valid", 0))
        last = self.s.estc("history", "gw", "--json").json()[-1]
        self.assertEqual(last["action"], "rollback")
        self.assertIn("no earlier certificate", last["text"])

    def test_back_and_forth(self):
        second = self.renew()
        done = self.s.estc("rollback", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn(self.first["serial"], done.err)
        self.s.assert_consistent("gw")
        shown = self.s.show("gw")
        self.assertEqual(shown["certificate"], self.first)
        self.assertEqual((shown["next_action"], shown["last_action"]), ("renew", "rollback"))
        self.assertRegex(self.s.daemon.log(), "gw: rolled back: certificate [0-9A-F]+ for CN=")
        self.assertRegex(shown["next_why"], "^rolled back, so as late as is safe: 95 %")
        self.assert_refused(self.first)
        # It outlives a restart, and a renewal that somebody wants ends it.
        self.s.daemon.stop()
        self.s.start_daemon()
        self.assertEqual(self.s.show("gw")["certificate"], self.first)
        self.assertRegex(self.s.show("gw")["next_why"], "^rolled back")
        third = self.renew()
        self.assertNotIn(third["serial"], (self.first["serial"], second["serial"]))
        self.assertNotRegex(self.s.show("gw")["next_why"], "rolled back")

    def test_another_request_waits(self):
        """The configuration may ask for something else by now; the rollback is the later word."""
        self.s.write_config([self.s.identity("gw", key_type="p384")])
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.assertEqual(self.s.estc("enroll", "gw").status, harness.DONE)
        self.assertEqual(self.s.show("gw")["certificate"]["key_type"], "p384")
        self.assertEqual(self.s.estc("rollback", "gw").status, harness.DONE)
        shown = self.s.show("gw")
        self.assertEqual(shown["certificate"], self.first)
        self.assertEqual(shown["next_action"], "enroll")
        self.assertGreater(shown["next_due"], shown["last_attempt"])

    def test_what_is_broken_is_passed_over(self):
        self.renew()
        third = self.renew()
        generations = self.s.state / "identities/gw/generations"
        (generations / "2/cert.pem").write_text("nonsense")
        self.assertEqual(self.s.estc("rollback", "gw").status, harness.DONE)
        self.assertEqual(self.s.show("gw")["certificate"], self.first)
        self.assertRegex(self.s.daemon.log(), "not rolled back to: .*generations/2")
        self.assertNotEqual(self.first["serial"], third["serial"])

    def test_nothing_to_go_back_to(self):
        self.assert_refused(self.first)

    def test_while_an_attempt_runs(self):
        os.kill(self.s.registrar.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, self.s.registrar.pid, signal.SIGCONT)
        self.assertEqual(self.s.estc("renew", "gw", "--force", "--no-wait").status, harness.DONE)
        done = self.s.estc("rollback", "gw")
        self.assertEqual(done.status, harness.WORKING, done)
        self.assertIn("an attempt is under way", done.err)


if __name__ == "__main__":
    harness.main()
