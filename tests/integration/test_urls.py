#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Several servers for one identity: in order, until one has answered."""
import json
import signal
import socket

import harness
import waiting


class Silence:
    """A port whose owner hears everything and says nothing."""

    def __init__(self, case):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.url = f"coaps://localhost:{self.socket.getsockname()[1]}"
        case.addCleanup(self.socket.close)

    def heard(self):
        """Datagrams since the last question."""
        n = 0
        try:
            while self.socket.recv(2048):
                n += 1
        except BlockingIOError:
            return n


def nobody():
    """A URL where nothing listens."""
    return f"coaps://localhost:{harness.free_port()}"


class Urls(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")

    def start(self, *urls, **settings):
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw", url=list(urls), **settings)])
        self.s.start_daemon()

    def stranger(self):
        """A registrar of another CA; its URL."""
        other = self.site()
        other.init_registrar("--device", "gateway-1")
        other.start_registrar()
        return other

    def test_the_second_one_when_nobody_is_at_the_first(self):
        dead = nobody()
        self.start(dead, self.s.url)
        shown = self.s.wait_state("gw", "valid")
        self.assertEqual(shown["urls"], [dead, self.s.url])
        self.assertEqual(shown["last_server"], self.s.url)
        self.assertEqual(shown["trust"]["url"], self.s.url)
        self.assertEqual(shown["failures"], 0)
        self.s.assert_consistent("gw")
        self.assertRegex(self.s.daemon.log(), f"gw: {dead}: .*; the next server is asked")
        text = self.s.estc("show", "gw").out
        self.assertRegex(text, f"Server +{dead}\n +{self.s.url}\n")
        self.assertRegex(text, f"Answered +{self.s.url}\n")

    def test_one_that_is_silent_costs_its_share_of_the_time(self):
        silent = Silence(self)
        self.start(silent.url, self.s.url, attempt_timeout="10s")
        shown = self.s.wait_state("gw", "valid", timeout=30)
        self.assertEqual(shown["last_server"], self.s.url)
        self.assertGreater(silent.heard(), 0)

    def test_a_stranger_is_passed_by(self):
        other = self.stranger()
        self.start(other.url, self.s.url)
        shown = self.s.wait_state("gw", "valid")
        self.assertEqual(shown["last_server"], self.s.url)
        # Nor is one asked that has no EST where it should be.
        self.s.write_config([self.s.identity("gw", url=[f"{self.s.url}/nothing", self.s.url])])
        self.s.daemon.send_signal(signal.SIGHUP)
        self.s.wait_serial("gw", shown["certificate"]["serial"])
        self.assertEqual(self.s.wait_state("gw", "valid")["last_server"], self.s.url)

    def test_where_none_helps_the_error_names_each(self):
        other, dead = self.stranger(), nobody()
        self.start(dead, other.url, attempt_timeout="10s")
        shown = self.s.wait_state("gw", "failing")
        self.assertEqual(shown["last_result"], "untrusted")
        self.assertNotIn("last_server", shown)
        error = shown["last_error"]
        self.assertTrue(error.startswith(f"none of the 2 servers helps: {dead}: "), error)
        self.assertIn(f"; {other.url}: ", error)
        done = self.s.estc("enroll", "gw")
        self.assertEqual(done.status, 1, done)
        self.assertIn(other.url, done.err)

    def test_a_refusal_is_an_answer(self):
        silent = Silence(self)
        self.start(self.s.url, silent.url, subject="CN=nobody")
        shown = self.s.wait_state("gw", "failing")
        self.assertEqual((shown["last_result"], shown["last_server"]), ("rejected", self.s.url))
        self.assertNotIn("none of the", shown["last_error"])
        self.assertEqual(silent.heard(), 0)

    def test_the_server_has_moved(self):
        before, self.s.port = self.s.port, harness.free_port()
        after = self.s.url
        self.s.set_registrar("port", before)
        self.start(f"coaps://localhost:{before}", after)
        first = self.s.wait_state("gw", "valid")
        self.assertEqual(first["last_server"], f"coaps://localhost:{before}")
        self.s.registrar.stop()
        self.s.set_registrar("port", self.s.port)
        self.s.start_registrar()
        self.assertEqual(self.s.estc("renew", "gw", "--force").status, 0)
        shown = self.s.show("gw")
        self.assertEqual(shown["last_server"], after)
        self.assertNotEqual(shown["certificate"]["serial"], first["certificate"]["serial"])


class Pending(waiting.DaemonCase):
    def test_what_waits_is_asked_for_where_it_waits(self):
        first = nobody()
        self.start(url=[first, self.s.url])
        self.s.wait_state("gw", "pending")
        self.assertEqual(self.request_file()["url"], self.s.url)
        # Somebody is at the first one now, and hears nothing.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.bind(("127.0.0.1", int(first.rsplit(":", 1)[1])))
            there.setblocking(False)
            self.wait_poll()
            with self.assertRaises(BlockingIOError):
                there.recv(2048)
        self.decide("approve", 1)
        self.assertEqual(self.wait_certificate()["last_server"], self.s.url)

    def test_a_request_of_an_earlier_version_is_asked_for_in_order(self):
        self.start(url=[self.s.url, nobody()])
        self.s.wait_state("gw", "pending")
        self.s.daemon.stop()
        file = self.s.state / "identities/gw/pending/request.json"
        request = json.loads(file.read_text())
        del request["url"]
        file.write_text(json.dumps(request))
        self.s.start_daemon()
        self.wait_poll()


if __name__ == "__main__":
    harness.main()
