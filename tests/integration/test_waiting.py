#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Requests that wait for somebody, at the registrar, asked by a client that is not ours."""
import sqlite3
import time

import coap
import harness
import pki
import waiting
from waiting import EST


class Approval(waiting.WaitingCase):
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
                (["frobnicate"], harness.BAD_USAGE, "pending, show, approve, reject, revoke and load"),
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


class Held(waiting.WaitingCase):
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


if __name__ == "__main__":
    harness.main()
