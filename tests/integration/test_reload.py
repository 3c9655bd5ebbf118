#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reloading: a good configuration takes effect and loses nothing, a bad one changes nothing."""
import signal

import harness


class Reload(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw-a")])
        site.start_daemon()
        site.wait_state("gw-a", "valid")

    def names(self):
        return [entry["id"] for entry in self.shared.estc("list", "--json").json()]

    def setUp(self):
        self.shared.write_config([self.shared.identity("gw-a")])
        self.assertEqual(self.shared.estc("reload").status, harness.DONE)
        self.before = self.shared.show("gw-a")["certificate"]

    def test_an_identity_more_and_one_less(self):
        self.shared.write_config([self.shared.identity("gw-a"), self.shared.identity("gw-b")])
        done = self.shared.estc("reload")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(self.names(), ["gw-a", "gw-b"], "it is in force when reload returns")
        self.shared.wait_state("gw-b", "valid")
        self.assertEqual(self.shared.show("gw-a")["certificate"], self.before)
        self.shared.write_config([self.shared.identity("gw-b")])
        self.assertEqual(self.shared.estc("reload").status, harness.DONE)
        self.assertEqual(self.names(), ["gw-b"])
        for line in ("configuration reloaded: 2 identities\n", "configuration reloaded: 1 identity\n",
                     "started with 1 identity, state in"):
            self.assertIn(line, self.shared.daemon.log())
        self.assertTrue((self.shared.current("gw-a") / "cert.pem").exists(), "its files stay")

    def test_a_broken_one_leaves_the_old_in_force(self):
        for text, part in (('identities = ( { id = "gw-a" ', "estcd.conf:"),
                           (self.shared.conf.read_text() + "colour = 1;\n", "colour")):
            with self.subTest(part=part):
                self.shared.conf.write_text(text)
                done = self.shared.estc("reload")
                self.assertEqual(done.status, harness.BAD_CONFIG, done)
                self.assertIn(part, done.err)
                self.assertEqual(self.names(), ["gw-a"])
                self.assertEqual(self.shared.show("gw-a")["state"], "valid")

    def test_a_missing_file_leaves_the_old_in_force(self):
        self.shared.conf.unlink()
        done = self.shared.estc("reload")
        self.assertEqual(done.status, harness.BAD_CONFIG, done)
        self.assertIn("no such file", done.err)
        self.assertEqual(self.names(), ["gw-a"])

    def test_by_signal(self):
        daemon = self.shared.daemon
        daemon.messages.clear()
        self.shared.write_config([self.shared.identity("gw-a"), self.shared.identity("gw-c")])
        daemon.send_signal(signal.SIGHUP)
        harness.wait_for(lambda: daemon.notified("READY=1"), "it is ready again")
        self.assertIn("RELOADING=1", daemon.messages)
        self.assertTrue(any(m.startswith("MONOTONIC_USEC=") for m in daemon.messages))
        self.assertEqual(self.names(), ["gw-a", "gw-c"])

    def test_a_broken_one_by_signal(self):
        daemon = self.shared.daemon
        daemon.messages.clear()
        self.shared.conf.write_text("nonsense\n")
        daemon.send_signal(signal.SIGHUP)
        harness.wait_for(lambda: daemon.notified("READY=1"), "it is ready again")
        self.assertEqual(self.names(), ["gw-a"])
        self.assertIn("estcd.conf:", daemon.log())

    def test_ten_at_once(self):
        for _ in range(10):
            self.shared.daemon.send_signal(signal.SIGHUP)
        self.assertEqual(self.names(), ["gw-a"])
        self.assertEqual(self.shared.show("gw-a")["certificate"], self.before)


if __name__ == "__main__":
    harness.main()
