#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""est-registrar's audit log: a line of JSON for each decision, in a file that is only added to."""
import json
import os
import signal
import stat
import unittest

import harness

MOUNTS = harness.private_mounts()


class Audit(harness.TestCase):
    def world(self, log="audit.log", rule=""):
        site = self.site()
        site.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        site.set_registrar("audit_log", str(log))
        conf = site.site / "est-registrar.conf"
        conf.write_text(conf.read_text().replace('name = "devices";', f'name = "devices"; {rule}'))
        site.audit = site.site / log
        return site

    def lines(self, site):
        return [json.loads(line) for line in site.audit.read_text().splitlines()]

    def enrol(self, site, **settings):
        site.write_config([site.identity("gw", **settings)])
        site.start_daemon()

    def test_what_is_issued_and_what_is_refused(self):
        site = self.world()
        site.start_registrar()
        self.enrol(site)
        first = site.wait_state("gw", "valid")["certificate"]
        done = site.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        site.write_config([site.identity("gw"), site.identity("other", subject="CN=gateway-2")])
        site.estc("reload")
        site.wait_state("other", "failing")
        issued, renewed, refused = self.lines(site)[:3]
        self.assertEqual((issued["event"], issued["op"], issued["serial"], issued["not_after"]),
                         ("issued", "sen", first["serial"], first["not_after"]))
        self.assertEqual((issued["device"], issued["subject"], issued["rule"]),
                         ("CN=gateway-1", "CN=gateway-1-gw", "devices"))
        self.assertEqual((renewed["event"], renewed["op"], renewed["device"]),
                         ("issued", "sren", "CN=gateway-1-gw"))
        self.assertEqual((refused["event"], refused["subject"]), ("refused", "CN=gateway-2"))
        self.assertIn("matches no pattern", refused["reason"])
        self.assertNotIn("serial", refused)
        self.assertTrue(issued["address"].startswith("127.0.0.1:"))
        self.assertEqual(stat.S_IMODE(site.audit.stat().st_mode) & 0o027, 0)

    def test_who_approved(self):
        site = self.world(rule='approval = "manual"; retry_after = "1s"; hold = "0s";')
        site.start_registrar()
        self.enrol(site)
        site.wait_state("gw", "pending")
        waits, = self.lines(site)
        self.assertEqual((waits["event"], waits["subject"]), ("waits", "CN=gateway-1-gw"))
        done = harness.run(harness.ESTC, "--registrar-socket", site.site / "control", "registrar",
                           "approve", waits["request"])
        self.assertEqual(done.status, harness.DONE, done)
        site.wait_state("gw", "valid")
        _, approved, issued = self.lines(site)
        self.assertEqual((approved["event"], approved["request"], approved["by"]),
                         ("approved", waits["request"], str(os.getuid())))
        self.assertEqual(issued["event"], "issued")

    def test_a_log_that_was_moved_away(self):
        site = self.world()
        site.start_registrar()
        self.enrol(site)
        site.wait_state("gw", "valid")
        site.audit.rename(site.site / "audit.log.1")
        site.registrar.send_signal(signal.SIGHUP)
        harness.wait_for(site.audit.exists, "it is opened again")
        self.assertEqual(site.estc("renew", "gw", "--force").status, harness.DONE)
        self.assertEqual([line["op"] for line in self.lines(site)], ["sren"])

    @unittest.skipUnless(MOUNTS, "needs mounts of its own")
    def test_a_full_disk_is_said_once_and_stops_nobody(self):
        site = self.world("small/audit.log")
        small = site.audit.parent
        small.mkdir()
        harness.run("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", small)
        self.addCleanup(harness.run, "umount", small)
        site.start_registrar()
        (small / "rest").write_bytes(b"x" * 8192)
        self.enrol(site)
        site.wait_state("gw", "valid")
        self.assertEqual(site.estc("renew", "gw", "--force").status, harness.DONE)
        said = [line for line in site.registrar.log().splitlines() if "audit_log" in line]
        self.assertEqual(len(said), 1, said)
        self.assertIn("cannot be written: No space left", said[0])
        self.assertEqual(self.lines(site), [])
        (small / "rest").unlink()
        self.assertEqual(site.estc("renew", "gw", "--force").status, harness.DONE)
        self.assertEqual([line["event"] for line in self.lines(site)], ["issued"])
        self.assertIn("is written again", site.registrar.log())

    def test_what_is_no_file_is_refused_at_the_start(self):
        site = self.world()
        for make in (site.audit.mkdir, lambda: os.mkfifo(site.audit)):
            make()
            done = harness.run(harness.REGISTRAR, "-c", site.site / "est-registrar.conf")
            self.assertNotEqual(done.status, 0)
            self.assertIn(f"audit_log {site.audit}: ", done.err)
            site.audit.rmdir() if site.audit.is_dir() else site.audit.unlink()


if __name__ == "__main__":
    harness.main()
