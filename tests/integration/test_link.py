#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A network link that comes up ends the wait after a failure, and nothing else does; in a network
of its own."""
import ctypes
import json

import harness

CLONE_NEWNET = 0x40000000
SERVER = "10.99.0.1"


def ip(*words):
    done = harness.run("ip", *words)
    assert done.status == 0, (words, done)


def own_network():
    """True when this process now has a network of its own, which ends with it."""
    return harness.IS_ROOT and ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0


@harness.unittest.skipUnless(own_network(), "needs root")
class Link(harness.TestCase):
    def setUp(self):
        ip("link", "set", "lo", "up")
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1", "--name", SERVER)
        self.s.set_registrar("address", "0.0.0.0")
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw", url=f"coaps://{SERVER}:{self.s.port}",
                                             attempt_timeout="10s")])
        self.s.start_daemon()

    def up(self):
        ip("link", "add", "near0", "type", "veth", "peer", "name", "far0")
        self.addCleanup(ip, "link", "del", "near0")
        ip("link", "set", "far0", "up")
        ip("link", "set", "near0", "up")
        ip("addr", "add", f"{SERVER}/24", "dev", "near0")

    def test_a_link_that_comes_up_ends_the_wait(self):
        harness.wait_for(lambda: self.s.show("gw")["failures"] == 1, "there is no way")
        self.assertEqual(self.s.daemon.stop(), 0)
        # As after many failures, the last of them two minutes ago.
        record = self.s.state / "identities/gw/attempts.json"
        attempts = json.loads(record.read_text())
        attempts.update(failures=9, last_attempt=attempts["last_attempt"] - 120)
        record.write_text(json.dumps(attempts))
        self.s.start_daemon()
        shown = self.s.show("gw")
        self.assertEqual((shown["state"], shown["failures"]), ("failing", 9))
        self.assertIn("try 9 failed, again after 1 h", shown["next_why"])
        self.up()
        self.s.wait_state("gw", "valid")

    def test_a_worker_tells_machines_apart(self):
        """Even one that has got nowhere: the next start is spread by the birth certificate."""
        harness.wait_for(lambda: self.s.show("gw")["failures"] == 1, "there is no way")
        known = json.loads((self.s.state / "identities/gw/birth.json").read_text())["sha256"]
        done = harness.run("openssl", "x509", "-in", self.s.device("gateway-1")["certificate"],
                           "-noout", "-fingerprint", "-sha256")
        self.assertEqual(known, done.out.strip().split("=")[1].replace(":", ""))


if __name__ == "__main__":
    harness.main()
