#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""est-registrar against a client that speaks CoAP as no client should: datagrams twice, blocks out of
order and mixed up, messages that are none. What requests contain is the matter of
test_registrar_input.py."""
import pathlib
import random
import sqlite3
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from OpenSSL import SSL

import coap
import dtls
import harness
import pki
import rogue_client

EST = "/.well-known/est"
ABANDONED = 10000
PKCS10 = (coap.CONTENT_FORMAT, coap.uint(coap.PKCS10))


def block1(number, more, szx=2):
    return (coap.BLOCK1, coap.block(number, more, szx))


class ClientMisbehaves(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        cls.key, cls.chain = site.birth()

    def client(self):
        client = rogue_client.Client(self.shared.port, self.key, self.chain)
        self.addCleanup(client.close)
        return client

    def setUp(self):
        self.peer = self.client()

    def rows(self):
        with sqlite3.connect(f"file:{self.shared.ledger()}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM certificates").fetchone()[0]

    def tearDown(self):
        """Whatever it was, the next one is served."""
        code, body, _ = self.client().request(coap.GET, f"{EST}/crts", accept=coap.CERTS_ONLY)
        self.assertEqual(code, 205)
        self.assertGreaterEqual(len(pkcs7.load_der_pkcs7_certificates(body)), 2)
        super().tearDown()

    def test_t14_forged_records_end_nothing(self):
        """What somebody who knows address and port, but no key, can send in the client's name."""
        for content in (b"", b"\x02", b"\x02\x28", bytes(15), bytes(16), bytes(40)):
            for kind in (dtls.ALERT, dtls.HANDSHAKE, dtls.APPLICATION_DATA):
                for epoch in (1, 2):
                    self.peer.dtls.socket.send(dtls.record(kind, content, epoch, 77))
        code, _, _ = self.peer.request(coap.GET, f"{EST}/crts", accept=coap.CERTS_ONLY)
        self.assertEqual(code, 205)

    def test_t01_codes_of_signalling_end_one_connection_at_most(self):
        """7.01 to 7.05 belong to TCP (RFC 8323 section 5)."""
        for code in (0xe1, 0xe2, 0xe3, 0xe4, 0xe5):
            for kind in (coap.CON, coap.NON, coap.ACK, coap.RST):
                client = self.client()
                client.dtls.send(coap.Message(kind, code, 0x7000, b"").encode())
        code, _, _ = self.peer.request(coap.GET, f"{EST}/crts", accept=coap.CERTS_ONLY)
        self.assertEqual(code, 205)

    def request(self, name):
        key = pki.new_key()
        return key, pki.request(key, f"gateway-1-{name}")

    def whole(self, body, *options):
        return self.peer.message(coap.POST, f"{EST}/sen", [PKCS10, *options], body)

    def code(self, message, client=None):
        return coap.dotted((client or self.peer).exchange(message).code)

    def block(self, client, body, number, szx=2, path=f"{EST}/sen", content_format=coap.PKCS10,
              options=()):
        """Sends one block of a body; the answer."""
        size = 16 << szx
        more = len(body) > (number + 1) * size
        return client.exchange(client.message(
            coap.POST, path, [(coap.CONTENT_FORMAT, coap.uint(content_format)),
                              block1(number, more, szx), *options],
            body[number * size:(number + 1) * size]))

    def assert_issued(self, answer, key):
        self.assertEqual(coap.dotted(answer.code), 204, answer)
        cert, = pkcs7.load_der_pkcs7_certificates(answer.payload)
        self.assertEqual(*(k.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                           for k in (cert.public_key(), key.public_key())))

    # --- the connection -------------------------------------------------------------------------

    def test_p09_t07_renegotiation_is_refused(self):
        connection = self.peer.dtls.endpoint.connection
        connection.renegotiate()
        with self.assertRaises((SSL.Error, TimeoutError)) as caught:
            self.peer.dtls.endpoint.handshake()
            self.peer.dtls.receive(3)
        self.assertNotIsInstance(caught.exception, TimeoutError, "it says no")
        self.assertIn("no renegotiation", str(caught.exception))

    def test_z02_an_ephemeral_key_for_each_handshake(self):
        keys = [key for _ in range(4) for key in self.client().dtls.server_keys]
        self.assertEqual(len(keys), 4)
        self.assertEqual(len(set(keys)), 4)

    # --- the same again -------------------------------------------------------------------------

    def test_e13_twice_at_once(self):
        before = self.rows()
        key, body = self.request("at-once")
        message = self.whole(body)
        for _ in range(3):
            self.peer.dtls.send(message.encode())
        answers = [self.peer.answer(message) for _ in range(3)]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        self.assert_issued(answers[0], key)
        self.assertEqual(self.rows(), before + 1)

    def test_e13_twice_in_twenty_seconds(self):
        before = self.rows()
        message = self.whole(self.request("late")[1])
        first = self.peer.exchange(message)
        time.sleep(20)
        self.assertEqual(self.peer.exchange(message), first)
        self.assertEqual(self.rows(), before + 1)

    def test_e13_the_last_block_twice(self):
        before = self.rows()
        key, body = self.request("last-block")
        last = (len(body) - 1) // 64
        for number in range(last):
            self.assertEqual(coap.dotted(self.block(self.peer, body, number).code), 231)
        final = self.peer.message(coap.POST, f"{EST}/sen", [PKCS10, block1(last, False)],
                                  body[last * 64:])
        first = self.peer.exchange(final)
        self.assertEqual(self.peer.exchange(final), first)
        self.assert_issued(first, key)
        self.assertEqual(self.rows(), before + 1)

    # --- blocks ---------------------------------------------------------------------------------

    def test_b06_every_block_is_answered(self):
        key, body = self.request("blocks")
        last = (len(body) - 1) // 64
        for number in range(last):
            answer = self.block(self.peer, body, number)
            self.assertEqual(coap.dotted(answer.code), 231)
            self.assertEqual(answer.option(coap.BLOCK1), coap.block(number, True, 2))
            self.assertIsNone(answer.option(coap.BLOCK2))
            self.assertEqual(answer.payload, b"")
        answer = self.block(self.peer, body, last)
        self.assertEqual(answer.option(coap.BLOCK1), coap.block(last, False, 2))
        self.assert_issued(answer, key)

    def test_b07_gaps_and_wrong_orders(self):
        before = self.rows()
        _, body = self.request("order")
        last = (len(body) - 1) // 64
        for order in ([1], [last], [0, 2], [0, last], [0, 1, 0, 2], [0, 1, 1, 2], [2, 1, 0]):
            with self.subTest(order=order):
                client = self.client()
                codes = [coap.dotted(self.block(client, body, number).code) for number in order]
                self.assertIn(408, codes)
                self.assertNotIn(204, codes)
        self.assertEqual(self.rows(), before)

    def test_b08_another_content_format_in_the_middle(self):
        _, body = self.request("mixed")
        for other in (coap.CERTS_ONLY, 0, coap.LINK):
            client = self.client()
            self.assertEqual(coap.dotted(self.block(client, body, 0).code), 231)
            answer = self.block(client, body, 1, content_format=other)
            self.assertEqual(coap.dotted(answer.code), 408)

    def test_b11_two_clients_interleaved(self):
        jobs = [(self.client(), *self.request(f"interleaved-{n}")) for n in range(3)]
        answers = {}
        for number in range(max((len(body) + 63) // 64 for _, _, body in jobs)):
            for n, (client, _, body) in enumerate(jobs):
                if number * 64 < len(body):
                    answers[n] = self.block(client, body, number)
        for n, (_, key, _) in enumerate(jobs):
            self.assert_issued(answers[n], key)

    def test_b11_two_transfers_of_one_client_interleaved(self):
        """Each is completed or told to begin anew; they are never mixed."""
        jobs = [(*self.request(f"tagged-{n}"), [(coap.REQUEST_TAG, bytes([n]))]) for n in range(2)]
        last = {}
        for number in range(max((len(body) + 63) // 64 for _, body, _ in jobs)):
            for n, (_, body, tag) in enumerate(jobs):
                if number * 64 < len(body):
                    last[n] = self.block(self.peer, body, number, options=tag)
        for n, (key, _, _) in enumerate(jobs):
            if coap.dotted(last[n].code) != 408:
                self.assert_issued(last[n], key)

    def test_b11_a_new_beginning_replaces_the_old(self):
        key, body = self.request("again")
        for number in (0, 1, 2, *range((len(body) + 63) // 64)):
            answer = self.block(self.peer, body, number)
        self.assert_issued(answer, key)

    def test_b02_size_exponent_7(self):
        _, body = self.request("szx")
        for option in ((coap.BLOCK1, b"\x07"), (coap.BLOCK1, b"\x0f"), (coap.BLOCK2, b"\x07")):
            self.assertEqual(self.code(self.whole(body, option)), 400, option)

    def test_b02_block_options_twice(self):
        _, body = self.request("doubled")
        for number in (coap.BLOCK1, coap.BLOCK2):
            code = self.code(self.whole(body, (number, b"\x06"), (number, b"\x06")))
            self.assertEqual(code, 402)

    def test_b03_blocks_that_are_not_full(self):
        for size in (0, 1, 63, 65):
            answer = self.peer.exchange(self.whole(b"x" * size, block1(0, True)))
            self.assertEqual(coap.dotted(answer.code), 400, size)

    def test_b03_an_empty_option_is_number_0_of_16_bytes(self):
        _, body = self.request("empty-option")
        self.assertEqual(self.code(self.whole(body, (coap.BLOCK1, b""))), 400)
        answer = self.peer.exchange(self.peer.message(
            coap.GET, f"{EST}/crts", [(coap.BLOCK2, b"")]))
        self.assertEqual((answer.option(coap.BLOCK2), len(answer.payload)), (b"\x08", 16))

    def test_b04_sizes_of_answers(self):
        for szx in range(7):
            size = 16 << szx
            ask = [(coap.BLOCK2, coap.block(0, False, szx))]
            number, total = 0, b""
            while True:
                answer = self.peer.exchange(self.peer.message(coap.GET, f"{EST}/crts", ask))
                # What fits one block needs no option.
                block = answer.block(coap.BLOCK2) or coap.Block(0, False, szx)
                self.assertEqual((block.number, block.szx), (number, szx))
                self.assertTrue(len(answer.payload) == size or not block.more)
                total += answer.payload
                if not block.more:
                    break
                number += 1
                ask = [(coap.BLOCK2, coap.block(number, False, szx))]
            self.assertGreaterEqual(len(pkcs7.load_der_pkcs7_certificates(total)), 2)

    def test_b13_later_pages_without_an_answer(self):
        before = self.rows()
        _, body = self.request("pages")
        message = self.whole(body, (coap.BLOCK2, coap.block(1, False, 2)))
        self.assertEqual(self.code(message), 408)
        self.assertEqual(self.rows(), before)

    def test_b13_later_pages_never_issue(self):
        before = self.rows()
        key, body = self.request("paged")
        answer = self.peer.exchange(self.whole(body, (coap.BLOCK2, coap.block(0, False, 2))))
        total, block = answer.payload, answer.block(coap.BLOCK2)
        while block.more:
            # Twice each, with and without the content format (RFC 7959 section 3.3).
            ask = [(coap.BLOCK2, coap.block(block.number + 1, False, 2))]
            for options in (ask, [PKCS10, *ask]):
                answer = self.peer.exchange(self.peer.message(coap.POST, f"{EST}/sen", options))
            total, block = total + answer.payload, answer.block(coap.BLOCK2)
        answer.payload = total
        self.assert_issued(answer, key)
        self.assertEqual(self.rows(), before + 1)

    def test_b15_announced_sizes_are_hints(self):
        for number, size in enumerate((0, 1, 2**31, 2**32 - 1)):
            key, body = self.request(f"size-{number}")
            hint = (coap.SIZE1, coap.uint(size))
            self.assert_issued(self.peer.exchange(self.whole(body, hint)), key)
            for n in range((len(body) + 63) // 64):
                answer = self.block(self.peer, body, n, options=[hint])
            self.assert_issued(answer, key)

    def memory(self):
        """Resident kB of the registrar."""
        status = pathlib.Path(f"/proc/{self.shared.registrar.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def test_b16_ten_thousand_abandoned_transfers(self):
        before = self.memory()
        for _ in range(20):
            client = self.client()
            for n in range(ABANDONED // 20):
                client.dtls.send(client.message(
                    coap.POST, f"{EST}/sen", [PKCS10, block1(0, True, 6),
                                              (coap.REQUEST_TAG, n.to_bytes(4, "big"))],
                    b"x" * 1024).encode())
                if n % 50 == 49:
                    self.drain(client)
        self.assertLess(self.memory() - before, 20000 * harness.PATIENCE, "kB")

    def drain(self, client):
        try:
            while True:
                client.dtls.receive(0.01)
        except TimeoutError:
            pass

    # --- messages -------------------------------------------------------------------------------

    def test_tokens_of_every_length(self):
        for length in (0, 1, 4, 8):
            token = bytes(range(length))
            answer = self.peer.exchange(self.peer.message(
                coap.GET, f"{EST}/crts", [(coap.BLOCK2, b"\x02")], token=token))
            self.assertEqual((coap.dotted(answer.code), answer.token), (205, token))

    def test_r08_malformed_messages_are_reset_or_dropped(self):
        """RFC 7252 section 4.2: a reset or nothing, never an answer."""
        good = self.peer.message(coap.GET, f"{EST}/crts").encode()
        head = bytes([0x40, coap.GET])
        broken = [head + b"\x20%c" % n + tail for n, tail in enumerate((
            b"\xff", b"\xf0", b"\x0f", b"\x1f", b"\xb5abc", b"\xd0", b"\xe0\x01", b"\xbd", b"\xbe\x00",
            b"\xb1a\xff", b"\xff"))]
        broken += [bytes([0x40 | n, coap.GET, 0x21, n]) + bytes(n) for n in range(9, 16)]
        broken += [bytes([0x48, coap.GET, 0x22, 0]) + b"1234567", good[:3], b"\x00" + good[1:],
                   b"\x80" + good[1:], b"\xc0" + good[1:]]
        for message in broken:
            with self.subTest(message=message.hex()):
                client = self.client()
                client.dtls.send(message)
                try:
                    answer = coap.Message.decode(client.dtls.receive(0.3))
                    self.assertEqual((answer.type, answer.code), (coap.RST, 0), answer)
                except TimeoutError:
                    pass
                self.assertEqual(self.code(client.message(
                    coap.GET, f"{EST}/crts", [(coap.BLOCK2, b"\x02")]), client), 205)

    def test_r08_random_messages(self):
        chance = random.Random(7252)
        good = bytearray(self.whole(self.request("random")[1], block1(0, False, 6)).encode())
        client = self.client()
        for n in range(3000):
            bad = bytearray(good[:chance.randrange(4, len(good))] if n % 3 == 0 else good)
            for _ in range(chance.randrange(1, 5)):
                bad[chance.randrange(min(len(bad), 60))] = chance.randrange(256)
            client.dtls.send(bytes(bad))
            if n % 100 == 0:
                self.drain(client)

    # --- requests of every broken kind ----------------------------------------------------------

    def test_z04_diagnostics_echo_no_secrets(self):
        """What a client believes to be a shared secret comes back in no diagnostic and no log."""
        secret = "correct horse battery"
        body = (x509.CertificateSigningRequestBuilder().subject_name(pki.name("gateway-1-secret"))
                .add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, secret.encode())
                .sign(pki.new_key(), hashes.SHA256()).public_bytes(Encoding.DER))
        answer = self.peer.exchange(self.whole(body))
        self.assertNotIn(secret.encode(), answer.payload)
        self.assertNotIn(secret, self.shared.registrar.log())

    def test_e04_r07_requests_of_every_broken_kind(self):
        before = self.rows()
        good = self.request("broken")[1]
        info, algorithm, signature = pki.parts(good)
        version, *names_and_key = pki.parts(info)
        other = pki.parts(pki.request(pki.new_key(), "gateway-1-broken"))
        cases = {
            "another's signature": pki.tlv(0x30, info, algorithm, other[2]),
            "changed after signing": good.replace(b"gateway-1-broken", b"gateway-1-brokes"),
            "another version": pki.tlv(0x30, pki.tlv(0x30, b"\x02\x01\x01", *names_and_key),
                                       algorithm, signature),
            "no version": pki.tlv(0x30, pki.tlv(0x30, *names_and_key), algorithm, signature),
            "no attributes": pki.tlv(0x30, pki.tlv(0x30, version, *names_and_key[:-1]), algorithm,
                                     signature),
            "information alone": info,
            "no signature": pki.tlv(0x30, info, algorithm),
            "an empty signature": pki.tlv(0x30, info, algorithm, b"\x03\x01\x00"),
            "another algorithm": pki.tlv(0x30, info, pki.tlv(0x30, pki.OID_DATA), signature),
            "a certificate": self.chain[0].public_bytes(Encoding.DER),
            "PEM": b"-----BEGIN CERTIFICATE REQUEST-----\n" + good,
            "twice": good + good,
            "deep": b"\x30\x80" * 400,
            "a length of 4 GB": b"\x30\x84\xff\xff\xff\xff" + good[4:],
        }
        for name, payload in cases.items():
            with self.subTest(name):
                code, text, answer = self.client().request(
                    coap.POST, f"{EST}/sen", payload, coap.PKCS10)
                self.assertEqual(code, 400, text)
                self.assertIsNone(answer.option(coap.CONTENT_FORMAT))
                self.assertTrue(text.decode().isprintable())
        self.assertEqual(self.rows(), before)

    def test_z01_every_truncation_of_a_request(self):
        _, good = self.request("truncated")
        for end in range(0, len(good), 7):
            self.assertEqual(self.code(self.whole(good[:end])), 400, end)


if __name__ == "__main__":
    harness.main()
