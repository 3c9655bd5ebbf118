#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon sends, handshake and requests, as a server sees it that shares no code with it."""
import collections

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL

import coap
import harness
import pki
import rogue

HOST, LABEL = "localhost", "workshop"
GET, POST = coap.GET, coap.POST
# Suites of ECDHE with an AEAD cipher (RFC 5289, RFC 7251, RFC 7905), and the renegotiation signal.
AEAD = {0xc02b, 0xc02c, 0xc02f, 0xc030, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af, 0xcca8, 0xcca9, 0x00ff}
(SERVER_NAME, GROUPS, POINT_FORMATS, SIGNATURES, TRUNCATED_HMAC, ENCRYPT_THEN_MAC,
 EXTENDED_MASTER_SECRET) = 0, 10, 11, 13, 4, 22, 23


def spki(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Requests(harness.ClassSite):
    @classmethod
    def start(cls, site):
        cls.ca, cls.birth = rogue.authority(site)
        cls.bodies = collections.defaultdict(list)  # operation -> [(certificate, request)]
        key, cert = cls.ca.leaf("server", [HOST])
        cls.server = rogue.Server(cls.ca, key, [cert], {LABEL: cls.answer}, SSL.VERIFY_PEER,
                                  site.dir / "trust.pem")
        cls.addClassCleanup(cls.server.close)
        common = {"url": f"coaps://{HOST}:{cls.server.port}", "label": LABEL,
                  "attempt_timeout": None}
        site.write_config([
            rogue.identity(site, "gw", subject="O=A & B, CN=gw", **common),
            rogue.identity(site, "small", subject="CN=small", block_size=64,
                           subject_alt_names=["DNS:small.example", "IP:192.0.2.7"], **common)])
        site.start_daemon()
        for name in ("gw", "small"):
            site.wait_state(name, "valid")
            cls.old = {**getattr(cls, "old", {}),
                       name: pki.load_certs(site.current(name) / "cert.pem")[0]}
            done = site.estc("renew", name, "--force")
            assert done.status == harness.DONE, done

    @classmethod
    def answer(cls, asked):
        """Honest, and keeps names as they were asked for."""
        cls.bodies[asked.op].append((asked.certificate, asked.body))
        if asked.op in ("crts", "att"):
            return rogue.honest(asked)
        return rogue.Answer(204, pki.certs_only(asked.issue(
            sans=[value for ext in asked.csr.extensions
                  if isinstance(ext.value, x509.SubjectAlternativeName)
                  for value in ext.value])))

    def sessions(self):
        """The requests of each connection."""
        found = collections.defaultdict(list)
        for session, message in self.server.messages:
            found[session].append(message)
        self.assertGreaterEqual(len(found), 4)
        return list(found.values())

    def requests(self, op):
        return [m for _, m in self.server.messages if m.path[-1] == op]

    # --- the handshake --------------------------------------------------------------------------

    def test_t02_t05_suites(self):
        for hello in self.server.hellos:
            self.assertEqual(hello.version, 0xfefd)
            self.assertIn(0xc0ae, hello.suites)
            self.assertLessEqual(set(hello.suites), AEAD)
            self.assertNotIn(TRUNCATED_HMAC, hello.extensions)
            self.assertNotIn(ENCRYPT_THEN_MAC, hello.extensions)

    def test_t03_t04_t08_what_the_hello_announces(self):
        for hello in self.server.hellos:
            self.assertIn(23, self.numbers(hello, GROUPS), "secp256r1")
            self.assertIn(0, hello.extensions[POINT_FORMATS][1:], "uncompressed")
            self.assertIn(0x0403, self.numbers(hello, SIGNATURES), "SHA-256 with ECDSA")
            self.assertEqual(hello.extensions.get(EXTENDED_MASTER_SECRET), b"")

    @staticmethod
    def numbers(hello, extension):
        return rogue.dtls.numbers(hello.extensions[extension][2:])

    def test_t12_server_name(self):
        for hello in self.server.hellos:
            self.assertEqual(hello.extensions[SERVER_NAME][5:], HOST.encode())

    def test_z02_an_ephemeral_key_for_each_handshake(self):
        self.assertGreaterEqual(len(self.server.client_keys), 4)
        self.assertEqual(len(set(self.server.client_keys)), len(self.server.client_keys))

    def test_m03_datagrams_fit_an_mtu_of_1280(self):
        self.assertLessEqual(self.server.longest, 1280 - 48)

    # --- messages -------------------------------------------------------------------------------

    def test_t15_confirmable(self):
        self.assertEqual({m.type for _, m in self.server.messages}, {coap.CON})

    def test_t16_tokens_within_a_connection(self):
        for messages in self.sessions():
            tokens = [m.token for m in messages]
            self.assertEqual(len(tokens), len(set(tokens)))

    def test_m05_message_ids_within_a_connection(self):
        for messages in self.sessions():
            mids = [m.mid for m in messages]
            self.assertEqual(len(mids), len(set(mids)))
        self.assertGreater(len({messages[0].mid for messages in self.sessions()}), 1,
                           "they begin at random")

    def test_u02_u04_paths_and_host(self):
        for _, message in self.server.messages:
            self.assertEqual(message.path[:-1], [".well-known", "est", LABEL])
            self.assertIn(message.path[-1], ("crts", "att", "sen", "sren"))
            self.assertEqual(message.option(coap.URI_HOST), HOST.encode())

    def test_c12_t09_crts_before_anything_else(self):
        for messages in self.sessions():
            operations = list(dict.fromkeys(m.path[-1] for m in messages))
            self.assertEqual(operations[:2], ["crts", "att"])
            self.assertIn(operations[2:], (["sen"], ["sren"]))

    def test_f01_f02_crts(self):
        for message in self.requests("crts"):
            self.assertEqual((message.code, message.payload), (GET, b""))
            self.assertEqual(message.number(coap.ACCEPT), 281)
            self.assertIsNone(message.option(coap.CONTENT_FORMAT))

    def test_f01_f05_att(self):
        for message in self.requests("att"):
            self.assertEqual((message.code, message.payload), (GET, b""))
            self.assertEqual(message.number(coap.ACCEPT), 285)
            self.assertIsNone(message.option(coap.CONTENT_FORMAT))

    def test_f01_f03_sen_and_sren(self):
        for op in ("sen", "sren"):
            for message in self.requests(op):
                self.assertEqual(message.code, POST)
                self.assertEqual(message.number(coap.ACCEPT), 281)
                if message.payload:
                    self.assertEqual(message.number(coap.CONTENT_FORMAT), 286)

    def test_b01_b07_blocks_go_up_in_order(self):
        for messages in self.sessions():
            blocks = [b for m in messages if (b := m.block(coap.BLOCK1))]
            self.assertEqual([b.number for b in blocks], list(range(len(blocks))))
            # Host, path and label take their room of the frame for which 64 bytes are asked.
            self.assertLessEqual({block.szx for block in blocks}, {0, 1, 2})
            self.assertLessEqual(len({block.szx for block in blocks}), 1)
            for block in blocks:
                self.assertEqual(block.more, block is not blocks[-1])
        self.assertTrue(any(m.option(coap.BLOCK1) for _, m in self.server.messages))

    def test_b05_b12_blocks_come_down_in_order(self):
        for messages in self.sessions():
            for op in ("crts", "sen", "sren"):
                blocks = [m for m in messages if m.path[-1] == op and
                          (b := m.block(coap.BLOCK2)) and b.number > 0]
                self.assertEqual([m.block(coap.BLOCK2).number for m in blocks],
                                 list(range(1, len(blocks) + 1)))
                for message in blocks:
                    self.assertEqual(message.payload, b"")
                    self.assertFalse(message.block(coap.BLOCK2).more)
                    self.assertIsNone(message.option(coap.BLOCK1))
                    self.assertEqual(message.number(coap.ACCEPT), 281)
        self.assertTrue(any((b := m.block(coap.BLOCK2)) and b.number for m in self.requests("sren")))

    # --- certification requests -----------------------------------------------------------------

    def csrs(self, op):
        found = self.bodies[op]
        self.assertEqual(len(found), 2)
        return [(certificate, body, x509.load_der_x509_csr(body)) for certificate, body in found]

    def test_e01_e03_f09_signed_by_their_own_keys(self):
        for op in ("sen", "sren"):
            for _, body, csr in self.csrs(op):
                self.assertTrue(csr.is_signature_valid)
                self.assertEqual(csr.public_bytes(Encoding.DER), body, "DER and nothing else")

    def test_e02_attributes_are_there_when_empty(self):
        for _, body, csr in self.csrs("sen"):
            info, *_ = pki.parts(body)
            *_, attributes = pki.parts(info)
            self.assertEqual(attributes[0], 0xa0)
            self.assertEqual(len(attributes) == 2, not list(csr.attributes))

    def test_e08_renewal_repeats_the_names(self):
        for certificate, _, csr in self.csrs("sren"):
            old = x509.load_der_x509_certificate(certificate)
            self.assertEqual(csr.subject.public_bytes(), old.subject.public_bytes())
            self.assertEqual(*(
                [e.value.public_bytes() for e in holder.extensions
                 if isinstance(e.value, x509.SubjectAlternativeName)] for holder in (csr, old)))

    def test_e10_who_renews_shows_what_is_renewed(self):
        self.assertEqual({certificate for certificate, _, _ in self.csrs("sen")},
                         {self.birth.public_bytes(Encoding.DER)})
        self.assertEqual({certificate for certificate, _, _ in self.csrs("sren")},
                         {cert.public_bytes(Encoding.DER) for cert in self.old.values()})

    def test_e12_a_new_key_for_each(self):
        keys = {spki(csr.public_key()) for op in ("sen", "sren") for _, _, csr in self.csrs(op)}
        self.assertEqual(len(keys), 4)

    def test_z04_no_secret_in_any_log(self):
        """The daemon logs as much as it can here."""
        log = self.shared.daemon.log().lower()
        for key in self.shared.state.rglob("key.pem"):
            scalar = pki.load_key(key).private_numbers().private_value.to_bytes(32, "big")
            text = "".join(key.read_text().splitlines()[1:-1]).lower()
            for secret in (scalar.hex(), text, text[40:72], "private key"):
                self.assertNotIn(secret, log)


if __name__ == "__main__":
    harness.main()
