#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Keys that est-registrar makes: what it answers to clients that are not ours, taken apart by
openssl's commands."""
import itertools
import sqlite3

from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

import coap
import harness
import pki
import rogue_client
from coap import CERT, CERTS_ONLY, MULTIPART, PKCS8, SERVER_KEY
from keyparts import SECRET, SECRET_256, SECRET_ID, openssl, recipient

EST = "/.well-known/est"
CAPABILITIES = "1.2.840.113549.1.9.15"
DECRYPT_ID = "1.2.840.113549.1.9.16.2.37"
ASYMMETRIC_ID = "1.2.840.113549.1.9.16.2.54"
AES128_WRAP, AES256_WRAP = "2.16.840.1.101.3.4.1.5", "2.16.840.1.101.3.4.1.45"
AES128_CBC, AES256_CBC = "2.16.840.1.101.3.4.1.2", "2.16.840.1.101.3.4.1.42"
RSA_OAEP, ECDH_SHA256 = "1.2.840.113549.1.1.7", "1.3.132.1.11.1"
SIGNED_DATA = pki.oid("1.2.840.113549.1.7.2")


def capabilities(*oids):
    return pki.attribute(CAPABILITIES, pki.tlv(0x30, *(pki.tlv(0x30, pki.oid(o)) for o in oids)))


def identifier(kind, value):
    return pki.attribute(kind, pki.tlv(0x04, value))


class ServerKeys(harness.ClassSite):
    numbers = itertools.count()

    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        cls.ec = recipient(site, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        cls.rsa = recipient(site, "rsa", "rsa:2048")
        secrets, certs = site.dir / "secrets", site.dir / "recipients.pem"
        secrets.write_text(f"# name secret\n{SECRET_ID} {SECRET}\n{SECRET_ID}38 {SECRET_256}\n")
        secrets.chmod(0o600)
        certs.write_text(cls.ec[0].read_text() + cls.rsa[0].read_text())
        site.set_registrar("server_keys", True)
        site.set_registrar("seal_secrets", str(secrets))
        site.set_registrar("seal_certificates", str(certs))
        site.set_registrar("log_level", "debug")
        site.start_registrar()
        cls.birth = site.birth()

    def post(self, request, op="skg", who=None, **options):
        """(dotted code, body, last message)"""
        with rogue_client.Client(self.shared.port, *(who or self.birth)) as client:
            return client.request(coap.POST, f"{EST}/{op}", request, coap.PKCS10, **options)

    def ask(self, request, op="skg", **options):
        code, body, last = self.post(request, op, **options)
        self.assertEqual(code, 204, body)
        self.assertEqual(last.number(coap.CONTENT_FORMAT), MULTIPART)
        return coap.multipart(body)

    def file(self, content):
        out = self.shared.dir / f"part-{next(self.numbers)}"
        out.write_bytes(content)
        return out

    def certificate(self, found):
        """The certificate of an answer, by openssl, as a PEM file."""
        out = self.shared.dir / f"cert-{next(self.numbers)}.pem"
        if CERTS_ONLY in found:
            openssl("pkcs7", "-inform", "DER", "-in", self.file(found[CERTS_ONLY]), "-print_certs",
                    "-out", out)
        else:
            openssl("x509", "-inform", "DER", "-in", self.file(found[CERT]), "-out", out)
        self.assertEqual(len(pki.load_certs(out)), 1)
        return out

    def assert_pair(self, found, pkcs8):
        """The key is whole, and the certificate is for it; both by openssl."""
        key, cert = self.file(pkcs8), self.certificate(found)
        openssl("pkcs8", "-inform", "DER", "-nocrypt", "-in", key, "-out", f"{key}.pem")
        openssl("pkey", "-in", f"{key}.pem", "-check", "-noout")
        public = openssl("pkey", "-in", f"{key}.pem", "-pubout")
        self.assertEqual(public, openssl("x509", "-in", cert, "-noout", "-pubkey"))
        return f"{key}.pem", cert, public

    def opened(self, sealed, *means):
        """The PKCS#8 inside of EnvelopedData( SignedData( AsymmetricKeyPackage ) )."""
        inside, package = self.file(b""), self.file(b"")
        openssl("cms", "-decrypt", "-inform", "DER", "-in", self.file(sealed), "-binary", "-out",
                inside, *means)
        content = self.file(pki.tlv(0x30, SIGNED_DATA, pki.tlv(0xa0, inside.read_bytes())))
        openssl("cms", "-verify", "-inform", "DER", "-in", content, "-binary", "-out", package,
                "-purpose", "any", "-CAfile", self.shared.site / "trust.pem")
        self.assertIn("2.16.840.1.101.2.1.2.78.5",
                      openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", content))
        der = package.read_bytes()
        self.assertEqual(der[0], 0x30)
        return der[2 + (der[1] & 0x7f if der[1] & 0x80 else 0):]

    def printed(self, sealed):
        return openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", self.file(sealed))

    def rows(self, statement):
        with sqlite3.connect(f"file:{self.shared.ledger()}?mode=ro", uri=True) as db:
            return db.execute(statement).fetchall()

    # --- bare ---

    def test_f04_k02_k04_k09_key_and_certificate(self):
        for op, form in ("skg", CERTS_ONLY), ("skc", CERT):
            for accept in MULTIPART, None:
                own = pki.new_key()
                found = self.ask(pki.request(own, "gateway-1-bare"), op, accept=accept)
                self.assertEqual(list(found), [PKCS8, form])
                _, cert, public = self.assert_pair(found, found[PKCS8])
                self.assertNotEqual(public.encode(), own.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
                self.assertIn("gateway-1-bare", openssl("x509", "-in", cert, "-noout", "-subject"))

    def test_f04_by_libcoap(self):
        """The same by libcoap's client with a request by openssl."""
        folder = self.shared.site / "devices" / "gateway-1"
        request, out = self.shared.dir / "lc.der", self.shared.dir / "lc.out"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.shared.dir / "lc.key", "-outform", "DER", "-out", request, "-subj",
                "/CN=gateway-1-lc")
        for op in "skg", "skc":
            done = harness.run("coap-client-openssl", "-c", folder / "cert.pem", "-j",
                               folder / "key.pem", "-R", self.shared.site / "trust.pem", "-B", "15",
                               "-o", out, "-m", "post", "-t", "286", "-A", "62", "-f", request,
                               f"coaps://127.0.0.1:{self.shared.port}{EST}/{op}")
            self.assertEqual(done.status, 0, done)
            found = coap.multipart(out.read_bytes())
            self.assert_pair(found, found[PKCS8])

    def test_k03_key_and_signature_count_for_nothing(self):
        request = bytearray(pki.request(pki.new_key(), "gateway-1-broken"))
        request[-1] ^= 1
        self.assertEqual(self.post(bytes(request), "sen")[0], 400)
        found = self.ask(bytes(request))
        self.assert_pair(found, found[PKCS8])
        code, body, _ = self.post(pki.request(pki.new_key(), "another-device"))
        self.assertEqual(code, 403, "the names are judged as in /sen")
        self.assertEqual(self.post(b"garbage")[0], 400)

    def test_k01_renewal_by_its_own_certificate(self):
        found = self.ask(pki.request(pki.new_key(), "gateway-1-renews"))
        key, cert, public = self.assert_pair(found, found[PKCS8])
        who = pki.load_key(key), pki.load_certs(cert)
        again = self.ask(pki.request(pki.new_key(), "gateway-1-renews"), who=who)
        self.assertNotEqual(self.assert_pair(again, again[PKCS8])[2], public)
        code, body, _ = self.post(pki.request(pki.new_key(), "gateway-1-bare"), who=who)
        self.assertEqual(code, 403, body)

    def test_f07_f08_formats(self):
        request = pki.request(pki.new_key(), "gateway-1-formats")
        for accept in SERVER_KEY, CERTS_ONLY, PKCS8, CERT:
            self.assertEqual(self.post(request, accept=accept)[0], 406)

    # --- sealed ---

    def test_k07_k12_k13_sealed_with_a_secret(self):
        for op, (bits, ident, secret) in zip(("skg", "skc"), (
                (128, SECRET_ID, SECRET), (256, SECRET_ID + "38", SECRET_256))):
            wrap = AES128_WRAP if bits == 128 else AES256_WRAP
            request = pki.request_with(pki.new_key(), "gateway-1-secret", capabilities(wrap),
                                       identifier(DECRYPT_ID, bytes.fromhex(ident)))
            found = self.ask(request, op)
            self.assertEqual(list(found), [SERVER_KEY, CERTS_ONLY if op == "skg" else CERT])
            text = self.printed(found[SERVER_KEY])
            for expected in ("d.kekri", "version: 4", f"id-aes{bits}-wrap", f"aes-{bits}-cbc",
                             "pkcs7-signedData"):
                self.assertIn(expected, text)
            self.assert_pair(found, self.opened(found[SERVER_KEY], "-secretkey", secret,
                                                "-secretkeyid", ident))

    def test_k07_k12_k14_sealed_for_a_certificate(self):
        for (cert, key), listed, expected in (
                (self.ec, (ECDH_SHA256, AES128_WRAP, AES128_CBC), ("d.kari", "id-aes128-wrap")),
                (self.rsa, (RSA_OAEP, AES256_CBC), ("d.ktri", "rsaesOaep", "aes-256-cbc"))):
            ski = pki.load_certs(cert)[0].extensions.get_extension_for_class(
                pki.x509.SubjectKeyIdentifier).value.digest
            request = pki.request_with(pki.new_key(), "gateway-1-cert", capabilities(*listed),
                                       identifier(ASYMMETRIC_ID, ski))
            found = self.ask(request)
            text = self.printed(found[SERVER_KEY])
            for word in expected:
                self.assertIn(word, text)
            self.assert_pair(found, self.opened(found[SERVER_KEY], "-recip", cert, "-inkey", key))

    def test_k11_k12_refused_rather_than_bare(self):
        before = self.rows("SELECT count(*) FROM certificates")
        known = identifier(DECRYPT_ID, bytes.fromhex(SECRET_ID))
        for code, attributes in (
                (403, (capabilities(AES128_WRAP), identifier(DECRYPT_ID, b"unknown"))),
                (403, (capabilities(ECDH_SHA256, AES128_WRAP), identifier(ASYMMETRIC_ID, b"who"))),
                (403, (capabilities(AES256_WRAP, AES128_CBC), known)),
                (403, (capabilities("1.2.840.113549.3.7"), known)),
                (400, (known,)),
                (400, (capabilities(AES128_WRAP), known, identifier(ASYMMETRIC_ID, b"who")))):
            request = pki.request_with(pki.new_key(), "gateway-1-refused", *attributes)
            answer = self.post(request)
            self.assertEqual(answer[0], code, answer)
        self.assertEqual(self.rows("SELECT count(*) FROM certificates"), before)

    def test_k14_a_certificate_for_signing_is_no_recipient(self):
        """The device's own certificate, which may sign and no more."""
        ski = self.birth[1][0].extensions.get_extension_for_class(
            pki.x509.SubjectKeyIdentifier).value.digest
        request = pki.request_with(pki.new_key(), "gateway-1-own",
                                   capabilities(ECDH_SHA256, AES128_WRAP),
                                   identifier(ASYMMETRIC_ID, ski))
        code, body, _ = self.post(request)
        self.assertEqual((code, b"nothing may be encrypted" in body), (403, True))

    # --- rules ---

    def test_k16_no_stronger_than_the_connection(self):
        strong = pki.new_key("p384")
        code, body, _ = self.post(pki.request(strong, "gateway-1-strong"))
        self.assertEqual((code, b"stronger" in body), (403, True))
        request = pki.request_with(strong, "gateway-1-strong", capabilities(AES256_WRAP),
                                   identifier(DECRYPT_ID, bytes.fromhex(SECRET_ID + "38")))
        found = self.ask(request)
        _, cert, _ = self.assert_pair(found, self.opened(
            found[SERVER_KEY], "-secretkey", SECRET_256, "-secretkeyid", SECRET_ID + "38"))
        self.assertIn("384 bit", openssl("x509", "-in", cert, "-noout", "-text"))

    def test_k17_asked_again_supersedes(self):
        """The first key is nowhere now, so the same request gets another one."""
        request = pki.request(pki.new_key(), "gateway-1-again")
        first, second = (self.ask(request, op) for op in ("skg", "skg"))
        keys = [self.assert_pair(found, found[PKCS8]) for found in (first, second)]
        self.assertNotEqual(keys[0][2], keys[1][2])
        state = self.rows("SELECT revoked_at > 0 FROM certificates WHERE subject LIKE"
                          " '%gateway-1-again%' ORDER BY rowid")
        self.assertEqual(state, [(1,), (0,)])
        old, new = ((pki.load_key(key), pki.load_certs(cert)) for key, cert, _ in keys)
        with self.assertRaises(SSL.Error) as raised:
            self.post(pki.request(old[0], "gateway-1-again"), "sren", who=old)
        self.assertIn("certificate revoked", str(raised.exception))
        answer = self.post(pki.request(new[0], "gateway-1-again"), "sren", who=new)
        self.assertEqual(answer[0], 204, answer)

    def test_k17_z04_a_key_is_kept_nowhere(self):
        found = self.ask(pki.request(pki.new_key(), "gateway-1-traceless"))
        key = serialization.load_der_private_key(found[PKCS8], None)
        secret = key.private_numbers().private_value.to_bytes(32, "big")
        base64 = serialization.Encoding.PEM
        lines = key.private_bytes(base64, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()).splitlines()[1:-1]
        for file in self.shared.site.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                self.assertNotIn(secret, content, file)
        log = self.shared.registrar.log()
        self.assertIn("gateway-1-traceless", log)
        for trace in (secret.hex(), secret.hex().upper(), lines[0].decode(), SECRET):
            self.assertNotIn(trace, log)


class Off(harness.TestCase):
    def test_k01_off_by_default(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        key, certs = site.birth()
        with rogue_client.Client(site.port, key, certs) as client:
            for op in "skg", "skc":
                code, body, _ = client.request(coap.POST, f"{EST}/{op}",
                                               pki.request(key, "gateway-1-x"), coap.PKCS10)
                self.assertEqual((code, body), (404, b"this server makes no keys"))
            code, links, _ = client.request(coap.GET, "/.well-known/core")
            self.assertEqual(code, 205)
            self.assertNotIn(b"ace.est.sk", links)

    def test_k14_unfit_files_are_found_at_start(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        conf = site.site / "est-registrar.conf"
        site.set_registrar("server_keys", True)
        bad = site.dir / "bad"
        for text, key, mode, reason in (
                ("6b 00\n", "seal_secrets", 0o600, "line 1: the secret"),
                (f"x {SECRET}\n", "seal_secrets", 0o600, "line 1: the name"),
                (f"6b {SECRET}\n6b {SECRET}\n", "seal_secrets", 0o600, "line 2: the name stands"),
                (f"6b {SECRET} 1\n", "seal_secrets", 0o600, "more than"),
                ("# nothing\n", "seal_secrets", 0o600, "there is none"),
                (f"6b {SECRET}\n", "seal_secrets", 0o644, "chmod 600"),
                ((site.site / "devices/gateway-1/cert.pem").read_text(), "seal_certificates", 0o644,
                 "key usage lacks keyAgreement")):
            bad.write_text(text)
            bad.chmod(mode)
            saved = conf.read_text()
            site.set_registrar(key, str(bad))
            done = harness.run(harness.REGISTRAR, "-n", "-c", conf)
            self.assertNotEqual(done.status, 0, text)
            self.assertIn(reason, done.err)
            self.assertNotIn(SECRET, done.err)
            conf.write_text(saved)


if __name__ == "__main__":
    harness.main()
