#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Requests that wait for somebody: at the registrar, in the daemon, and over the end of both."""
import datetime
import json
import signal
import sqlite3
import time

from cryptography.hazmat.primitives.serialization import pkcs7

import coap
import harness
import pki
import rogue_client

EST = "/.well-known/est"
RULES = "rules = (\n    {"


class WaitingCase(harness.TestCase):
    """A site whose rule for devices has more settings, and whose registrar runs."""

    settings = 'approval = "manual"; retry_after = "2s";'

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        conf = self.s.site / "est-registrar.conf"
        text = conf.read_text()
        self.assertIn(RULES, text)
        conf.write_text(text.replace(RULES, f"{RULES} {self.settings}", 1))
        self.s.start_registrar()

    def estc(self, *arguments, **options):
        return harness.run(harness.ESTC, "registrar", *arguments, "--registrar-socket",
                           self.s.site / "control", **options)

    def requests(self, *arguments):
        done = self.estc("pending", "--json", *arguments)
        self.assertEqual(done.status, 0, done)
        return done.json()

    def decide(self, what, number, *arguments):
        done = self.estc(what, str(number), *arguments)
        self.assertEqual(done.status, 0, done)

    def wait_request(self):
        return harness.wait_for(self.requests, "a request waits")[0]

    def restart_registrar(self, number=signal.SIGKILL):
        self.s.registrar.stop(number)
        self.s.start_registrar()

    def client(self, device="gateway-1"):
        folder = self.s.site / "devices" / device
        client = rogue_client.Client(self.s.port, pki.load_key(folder / "key.pem"),
                                     pki.load_certs(folder / "cert.pem"))
        self.addCleanup(client.close)
        return client

    def issued(self):
        with sqlite3.connect(self.s.site / "ledger.sqlite", timeout=10) as db:
            return db.execute("SELECT sha256, subject FROM certificates").fetchall()

    def post(self, request, op="sen", device="gateway-1"):
        """(dotted code, the certificate or the diagnostic, Max-Age or None)"""
        with self.client(device) as client:
            code, body, last = client.request(coap.POST, f"{EST}/{op}", request, coap.PKCS10)
        age = last.number(coap.MAX_AGE)
        if code != 204:
            return code, body.decode(), age
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        return code, cert, age


class Approval(WaitingCase):
    """The registrar's side, asked by a client that is not ours."""

    def test_d03_d06_waits_until_it_is_approved(self):
        key = pki.new_key()
        code, text, age = self.post(pki.request(key, "gateway-1"))
        self.assertEqual((code, age), (503, 2))
        self.assertIn("request 1", text)
        # Other bytes with the same key and names, and another connection: the same request.
        again = pki.request(key, "gateway-1")
        self.assertEqual(self.post(again)[0], 503)
        request, = self.requests()
        self.assertEqual((request["id"], request["state"], request["subject"], request["device"]),
                         (1, "pending", "CN=gateway-1", "CN=gateway-1"))
        self.restart_registrar()
        self.assertEqual(self.post(again)[0], 503)
        self.assertEqual(self.issued(), [])
        self.decide("approve", 1)
        self.restart_registrar()
        code, first, _ = self.post(again)
        self.assertEqual(code, 204, first)
        self.assertEqual(first.public_key().public_numbers(), key.public_key().public_numbers())
        # Not collected as far as the registrar can tell: the same one again, not another.
        self.restart_registrar()
        code, second, _ = self.post(pki.request(key, "gateway-1"))
        self.assertEqual((code, second), (204, first))
        self.assertEqual(len(self.issued()), 1)
        shown = self.estc("show", "1", "--json").json()
        self.assertEqual(shown["certificate_sha256"], self.issued()[0][0])
        self.assertEqual(self.estc("reject", "1").status, harness.FAILED)

    def test_d06_another_key_device_or_operation_is_another_request(self):
        key = pki.new_key()
        self.assertEqual(self.post(pki.request(key, "gateway-1"))[0], 503)
        self.decide("approve", 1)
        self.assertEqual(self.post(pki.request(pki.new_key(), "gateway-1"))[0], 503)
        self.assertEqual(self.post(pki.request(key, "gateway-1-x"))[0], 503)
        self.assertEqual(self.post(pki.request(key, "gateway-2"), device="gateway-2")[0], 503)
        self.assertEqual(self.issued(), [])
        self.assertEqual(self.post(pki.request(key, "gateway-1"))[0], 204)

    def test_a_rejected_request_is_refused_with_the_reason(self):
        request = pki.request(pki.new_key(), "gateway-1")
        self.assertEqual(self.post(request)[0], 503)
        self.decide("reject", 1, "--reason", "not ours\033[31m")
        code, text, age = self.post(request)
        self.assertEqual((code, age), (403, None))
        self.assertEqual(text, "request 1 was rejected: not ours?[31m")
        self.assertEqual(self.requests(), [])
        self.decide("approve", 1)  # a second thought
        self.assertEqual(self.post(request)[0], 204)

    def test_a_device_cannot_fill_the_ledger(self):
        codes = [self.post(pki.request(pki.new_key(), f"gateway-1-{i}"))[0] for i in range(18)]
        self.assertEqual(codes, [503] * 16 + [403] * 2)
        # A new key for the same names takes the place of the old one.
        self.assertEqual(self.post(pki.request(pki.new_key(), "gateway-1-0"))[0], 503)
        self.assertEqual(len(self.requests()), 16)

    def test_a_long_list_comes_whole(self):
        """Three times what one reply holds."""
        self.post(pki.request(pki.new_key(), "gateway-1"))
        with sqlite3.connect(self.s.site / "ledger.sqlite", timeout=10) as db:
            columns = ", ".join(name for _, name, *_ in db.execute("PRAGMA table_info(requests)")
                                if name != "id")
            for _ in range(249):
                db.execute(f"INSERT INTO requests ({columns}) SELECT {columns} FROM requests"
                           " WHERE id = 1")
        self.decide("reject", 120)
        self.assertEqual([r["id"] for r in self.requests("--all")], list(range(1, 251)))
        self.assertEqual([r["id"] for r in self.requests()],
                         [i for i in range(1, 251) if i != 120])

    def test_d03_libcoaps_client_sees_max_age(self):
        device = self.s.site / "devices" / "gateway-1"
        request = self.s.dir / "request.der"
        request.write_bytes(pki.request(pki.new_key(), "gateway-1"))
        done = harness.run("coap-client-openssl", "-v", "7", "-c", device / "cert.pem", "-j",
                           device / "key.pem", "-R", self.s.site / "trust.pem", "-m", "post", "-t",
                           "286", "-f", request, f"coaps://127.0.0.1:{self.s.port}{EST}/sen")
        self.assertRegex(done.err + done.out, r"5\.03.*Max-Age:2\b")

    def test_d03_block1_is_echoed_with_the_refusal(self):
        """The last block of a long request is what 5.03 answers."""
        request = pki.request(pki.new_key(), "gateway-1", [f"{'a' * 60}{i}.gateway-1.local"
                                                           for i in range(20)])
        self.assertGreater(len(request), 1024)
        with self.client() as client:
            code, _, last = client.request(coap.POST, f"{EST}/sen", request, coap.PKCS10)
        self.assertEqual((code, last.number(coap.MAX_AGE)), (503, 2))
        self.assertEqual(last.block(coap.BLOCK1),
                         coap.Block((len(request) - 1) // 1024, False, 6))

    def test_what_estc_says(self):
        self.post(pki.request(pki.new_key(), "gateway-1"))
        done = self.estc("pending")
        self.assertRegex(done.out, r"ID +STATE +ASKED.*\n1 +pending .*CN=gateway-1\n1 request\.\n")
        done = self.estc("show", "1")
        self.assertRegex(done.out, r"Subject +CN=gateway-1\n")
        for words, status, text in (
                (["show", "7"], harness.FAILED, "there is no request 7"),
                (["approve"], harness.BAD_USAGE, "the ID of one request"),
                (["approve", "x"], harness.BAD_USAGE, "is a number"),
                (["frobnicate"], harness.BAD_USAGE, "pending, show, approve and reject"),
                (["pending", "1"], harness.BAD_USAGE, "takes no argument")):
            with self.subTest(words=words):
                done = self.estc(*words)
                self.assertEqual(done.status, status, done)
                self.assertIn(text, done.err)
        done = self.estc("approve", "1")
        self.assertEqual((done.status, done.err), (0, "Request 1 (CN=gateway-1) is approved.\n"))
        self.assertIn("is approved already", self.estc("approve", "1").err)
        self.s.registrar.stop()
        done = self.estc("pending")
        self.assertEqual(done.status, harness.NO_DAEMON)
        self.assertIn("est-registrar is not running", done.err)

    @harness.needs_root
    def test_who_may_look_may_not_decide(self):
        self.post(pki.request(pki.new_key(), "gateway-1"))
        (self.s.site).chmod(0o755)
        (self.s.site / "control").chmod(0o666)
        self.assertEqual(self.estc("pending", user=harness.nobody()).status, 0)
        done = self.estc("approve", "1", user=harness.nobody())
        self.assertEqual(done.status, harness.NOT_ALLOWED, done)
        self.assertIn("est-registrar-admin", done.err)


class Held(WaitingCase):
    """hold: the answer comes on the open connection if the decision does."""

    settings = 'approval = "manual"; retry_after = "90s"; hold = "3s";'

    def leave_waiting(self, client, key):
        """A request that gets its empty acknowledgement."""
        message = client.message(coap.POST, f"{EST}/sen",
                                 [(coap.CONTENT_FORMAT, coap.uint(coap.PKCS10))],
                                 pki.request(key, "gateway-1"))
        client.dtls.send(message.encode())
        ack = coap.Message.decode(client.dtls.receive(10))
        self.assertEqual((ack.type, ack.code, ack.mid), (coap.ACK, 0, message.mid))
        return message

    def test_d01_an_approval_within_the_time_is_answered_at_once(self):
        with self.client() as client:
            message = self.leave_waiting(client, pki.new_key())
            self.decide("approve", self.wait_request()["id"])
            began = time.monotonic()
            answer = client.answer(message)
            self.assertLess(time.monotonic() - began, 2 * harness.PATIENCE)
            self.assertEqual((answer.type, answer.code), (coap.CON, coap.code(204)))
        self.assertEqual(len(self.issued()), 1)

    def test_d01_d03_after_the_time_it_is_503(self):
        with self.client() as client:
            began = time.monotonic()
            answer = client.answer(self.leave_waiting(client, pki.new_key()))
            self.assertGreater(time.monotonic() - began, 2.5)
            self.assertEqual((answer.type, answer.code), (coap.CON, coap.code(503)))
            self.assertEqual(answer.number(coap.MAX_AGE), 90)

    def test_who_has_gone_meanwhile_gets_it_next_time(self):
        key = pki.new_key()
        client = self.client()
        self.leave_waiting(client, key)
        client.close()
        self.decide("approve", self.wait_request()["id"])
        code, cert, _ = self.post(pki.request(key, "gateway-1"))
        self.assertEqual(code, 204, cert)
        self.assertEqual(len(self.issued()), 1)


class DaemonCase(WaitingCase):
    """estcd and a registrar that takes its time."""

    def start(self, pop="never", **settings):
        settings["pop"] = pop
        self.s.write_config([self.s.identity("gw", **settings)])
        self.s.start_daemon()

    def request_file(self):
        return json.loads((self.s.state / "identities/gw/pending/request.json").read_text())

    def key_file(self):
        return (self.s.state / "identities/gw/pending/key.pem").read_bytes()

    def restart_daemon(self):
        self.s.daemon.stop(signal.SIGKILL)
        self.s.start_daemon()

    def polls(self):
        """How often the registrar has said that the request waits."""
        return self.s.registrar.log().count("waits for approval as request")

    def wait_poll(self):
        polls = self.polls()
        harness.wait_for(lambda: self.polls() > polls, "the daemon asks again", 30)

    def wait_certificate(self):
        shown = self.s.wait_state("gw", "valid", timeout=40)
        self.s.assert_consistent("gw")
        (sha256, _), = self.issued()
        self.assertEqual(shown["certificate"]["sha256"].replace(":", "").upper(), sha256)
        return shown


class Daemon(DaemonCase):
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


class DaemonHeld(DaemonCase):
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


class Bound(WaitingCase):
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
