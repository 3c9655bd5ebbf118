#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""estcd while the CA decides, over the end of both; and requests bound to their connection."""
import datetime
import json
import signal
import time

import harness
import pki
import waiting


class Daemon(waiting.DaemonCase):
    """Both are killed and started again while a request waits."""

    def test_d04_d05_d06_d07_pending_survives_the_end_of_both(self):
        self.start()
        shown = self.s.wait_state("gw", "pending")
        self.assertEqual(shown["next_action"], "poll")
        key, csr = self.key_file(), self.request_file()["csr"]
        since = self.request_file()["since"]
        began = shown["pending_since"]
        self.assertEqual(datetime.datetime.fromisoformat(began).timestamp(), since)
        self.restart_daemon()
        self.wait_poll()
        self.restart_registrar()
        self.wait_poll()
        self.s.daemon.stop(signal.SIGKILL)
        self.restart_registrar()
        self.s.start_daemon()
        self.wait_poll()
        self.assertEqual([r["id"] for r in self.requests()], [1])
        # Unbound, it is sent again byte for byte.
        self.assertEqual((self.key_file(), self.request_file()["csr"]), (key, csr))
        self.assertEqual(self.request_file()["since"], since)
        self.assertEqual(self.s.show("gw")["pending_since"], began)
        done = self.s.estc("show", "gw")
        self.assertRegex(done.out, r"Pending +since \S+ \S+Z \(\d+s ago\)\n")
        self.s.daemon.stop(signal.SIGKILL)
        self.decide("approve", 1)
        self.restart_registrar()
        self.s.start_daemon()
        self.assertNotIn("pending_since", self.wait_certificate())
        self.assertEqual((self.s.current("gw") / "key.pem").read_bytes(), key)

    def test_d04_it_does_not_ask_before_its_time(self):
        self.start()
        self.s.wait_state("gw", "pending")
        polls, began = self.polls(), time.monotonic()
        harness.wait_for(lambda: self.polls() >= polls + 2, "two more", 40)
        # Max-Age is 2 s, our own floor 5 s.
        self.assertGreater(time.monotonic() - began, 8)

    def test_d05_retry_puts_the_first_request_again(self):
        self.start()
        self.s.wait_state("gw", "pending")
        key, polls = self.key_file(), self.polls()
        done = self.s.estc("retry", "gw")
        self.assertEqual(done.status, harness.WORKING, done)
        self.assertEqual(self.polls(), polls + 1)
        self.assertEqual(self.key_file(), key)

    def test_d05_p08_a_bound_request_is_made_anew_with_the_same_key(self):
        self.start(pop="always")
        self.s.wait_state("gw", "pending")
        key, csr = self.key_file(), self.request_file()["csr"]
        self.wait_poll()
        harness.wait_for(lambda: self.request_file()["csr"] != csr, "another request")
        self.restart_registrar()
        self.wait_poll()
        self.assertEqual(self.key_file(), key)
        self.assertEqual([r["id"] for r in self.requests()], [1])
        self.decide("approve", 1)
        self.wait_certificate()
        self.assertEqual((self.s.current("gw") / "key.pem").read_bytes(), key)

    def test_a_rejection_is_told_and_the_next_request_has_a_new_key(self):
        self.start()
        self.s.wait_state("gw", "pending")
        key = self.key_file()
        self.decide("reject", 1, "--reason", "unknown serial number")
        shown = self.s.wait_state("gw", "failing", timeout=30)
        self.assertEqual(shown["last_result"], "rejected")
        self.assertIn("request 1 was rejected: unknown serial number", shown["last_error"])
        self.assertFalse((self.s.state / "identities/gw/pending").exists())
        self.s.estc("enroll", "gw", "--force", "--no-wait")
        self.wait_request()
        harness.wait_for(lambda: (self.s.state / "identities/gw/pending/key.pem").exists(), "key")
        self.assertNotEqual(self.key_file(), key)

    def test_d07_it_is_given_up_after_pending_timeout(self):
        self.start(pending_timeout="1m")
        self.s.wait_state("gw", "pending")
        key = self.key_file()
        self.s.daemon.stop(signal.SIGKILL)
        file = self.s.state / "identities/gw/pending/request.json"
        pending = json.loads(file.read_text())
        pending["since"] -= 61
        file.write_text(json.dumps(pending))
        self.s.start_daemon()
        harness.wait_for(lambda: "gave up the request that the CA has not decided on since" in
                         self.s.daemon.log(), "it says so", 30)
        harness.wait_for(lambda: [r["id"] for r in self.requests()] == [2], "a new request", 30)
        self.s.wait_state("gw", "pending")
        self.assertNotEqual(self.key_file(), key)
        self.decide("approve", 2)
        self.wait_certificate()


class DaemonHeld(waiting.DaemonCase):
    """The same with an empty acknowledgement first: an approval in time needs no second request."""

    settings = 'approval = "always"; retry_after = "2s"; hold = "20s";'

    def test_d01_the_answer_comes_while_it_waits(self):
        self.start()
        number = self.wait_request()["id"]
        harness.wait_for(lambda: self.s.show("gw")["state"] == "working", "the daemon waits")
        self.decide("approve", number)
        shown = self.wait_certificate()
        # A renewal waits as well, where the rule says so, and on the certificate that it renews.
        self.s.estc("renew", "gw", "--force", "--no-wait")
        request = self.wait_request()
        self.assertEqual((request["op"], request["device"]), ("sren", "CN=gateway-1-gw"))
        self.decide("approve", request["id"])
        self.s.wait_serial("gw", shown["certificate"]["serial"])

    def test_d01_both_killed_while_the_answer_is_due(self):
        self.start()
        self.wait_request()
        key = self.key_file()
        self.restart_registrar()
        self.restart_daemon()
        self.decide("approve", 1)
        self.wait_certificate()
        self.assertEqual((self.s.current("gw") / "key.pem").read_bytes(), key)


class Bound(waiting.WaitingCase):
    """pop = "required" at the registrar, and what the daemon makes of it."""

    settings = 'pop = "required";'

    def daemon(self, **settings):
        self.s.write_config([self.s.identity("gw", **settings)])
        self.s.start_daemon()

    def test_p07_r06_without_a_binding_it_is_refused(self):
        code, text, _ = self.post(pki.request(pki.new_key(), "gateway-1"))
        self.assertEqual(code, 403)
        self.assertIn("POP linking is required by rule 'devices'", text)
        self.assertEqual(self.issued(), [])

    def test_p02_p04_p06_p08_the_daemon_binds(self):
        self.daemon(pop="always")
        shown = self.s.wait_state("gw", "valid")
        self.s.estc("renew", "gw", "--force")
        self.assertNotEqual(self.s.show("gw")["certificate"]["serial"],
                            shown["certificate"]["serial"])

    def test_a05_p07_auto_binds_because_the_server_says_so(self):
        self.daemon()
        self.s.wait_state("gw", "valid")
        self.assertIn("bound to this connection", self.s.daemon.log())

    def test_p01_never_means_never(self):
        self.daemon(pop="never")
        shown = self.s.wait_state("gw", "failing")
        self.assertEqual(shown["last_result"], "rejected")
        self.assertIn("POP linking is required", shown["last_error"])


if __name__ == "__main__":
    harness.main()
