#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients that share no line of code with us do every operation against est-registrar: libcoap's two
command-line clients, over OpenSSL and over GnuTLS, with requests made by `openssl req`; what comes
back is taken apart by openssl's commands."""
import itertools
import re

import capture
import coap
import harness
import pki

EST = "/.well-known/est"


def openssl(*arguments):
    done = harness.run("openssl", *arguments)
    assert done.status == 0, (arguments, done)
    return done.out


def asn1(file):
    """The structure of a DER file as (depth, type, value) lines of openssl asn1parse."""
    out = openssl("asn1parse", "-inform", "DER", "-in", file)
    return [(int(m[1]), m[2].strip(), m[3]) for m in re.finditer(
        r"^\s*\d+:d=(\d+)\s+hl=\d+\s+l=.{5}(?:prim|cons): ([^:\n]+?)\s*(?::(.*))?$", out, re.M)]


class Judge(harness.ClassSite):
    """What each client does; the classes below name the client."""

    program = None
    numbers = itertools.count()

    @classmethod
    def start(cls, site):
        cls.pcap, cls.secrets = site.dir / "wire.pcap", site.dir / "secrets.txt"
        site.init_registrar("--device", "gateway-1")
        conf = site.site / "est-registrar.conf"
        conf.write_text(conf.read_text().replace(
            'name = "devices";', 'name = "devices"; key_types = [ "p256" ]; attributes = { '
            'signature = "sha256"; extensions = [ "keyUsage=critical,digitalSignature" ]; };', 1))
        site.set_registrar("server_keys", True)
        site.start_registrar(env={**harness.preload("keylog"), "ESTC_TEST_KEYLOG": str(cls.secrets)})
        cls.proxy = capture.Proxy(site.port, cls.pcap)
        cls.addClassCleanup(cls.proxy.close)

    @classmethod
    def path(cls, name):
        return cls.shared.dir / name

    def ask(self, path, *arguments, who=None):
        """(file with the answer, what the client printed)"""
        folder = self.shared.site / "devices" / "gateway-1"
        cert, key = who or (folder / "cert.pem", folder / "key.pem")
        out = self.path(f"answer-{next(self.numbers)}.der")
        done = harness.run(self.program, "-c", cert, "-j", key, "-R", self.shared.site / "trust.pem",
                           "-B", "15", "-o", out, *arguments,
                           f"coaps://127.0.0.1:{self.proxy.port}{path}")
        self.assertEqual(done.status, 0, done)
        return out, done.out + done.err

    def csr(self, name, *arguments):
        """(key, request) by openssl req."""
        key, request = self.path(f"{name}.key"), self.path(f"{name}.der")
        new = [] if key.exists() else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                                       "-nodes", "-keyout", key]
        openssl("req", "-new", *(new or ["-key", key]), "-outform", "DER", "-out", request,
                "-subj", f"/CN=gateway-1-{name}", *arguments)
        return key, request

    def post(self, op, request, *arguments, who=None):
        return self.ask(f"{EST}/{op}", "-m", "post", "-t", "286", "-f", request, *arguments, who=who)

    def certificates(self, file, kind="pkcs7"):
        """The certificates of a certs-only message, by openssl pkcs7, as a PEM file."""
        out = file.with_suffix(".pem")
        if kind == "pkcs7":
            openssl("pkcs7", "-inform", "DER", "-in", file, "-print_certs", "-out", out)
        else:
            openssl("x509", "-inform", "DER", "-in", file, "-out", out)
        return out

    def crts(self):
        return self.certificates(self.ask(f"{EST}/crts", "-A", "281")[0])

    def assert_certs_only(self, file):
        """RFC 7030 section 4.1.3, element by element."""
        lines = asn1(file)
        self.assertEqual([line[:2] for line in lines[:3]],
                         [(0, "SEQUENCE"), (1, "OBJECT"), (1, "cont [ 0 ]")])
        self.assertEqual(lines[1][2], "pkcs7-signedData")
        fields = [line for line in lines if line[0] == 3]
        self.assertEqual([kind for _, kind, _ in fields],
                         ["INTEGER", "SET", "SEQUENCE", "cont [ 0 ]", "SET"])
        self.assertEqual(fields[0][2], "01")
        inner = lines[lines.index(fields[2]) + 1:lines.index(fields[3])]
        self.assertEqual(inner, [(4, "OBJECT", "pkcs7-data")], "an empty eContent")
        self.assertEqual(lines[-1], fields[-1], "no signer")

    def assert_pair(self, key, cert):
        self.assertEqual(openssl("pkey", "-in", key, "-pubout"),
                         openssl("x509", "-in", cert, "-noout", "-pubkey"))
        openssl("verify", "-x509_strict", "-CAfile", self.shared.site / "trust.pem", "-untrusted",
                self.crts(), cert)

    def test_c01_c02_c04_f02_crts(self):
        answer, _ = self.ask(f"{EST}/crts", "-A", "281")
        self.assert_certs_only(answer)
        found = pki.load_certs(self.certificates(answer))
        root, = pki.load_certs(self.shared.site / "trust.pem")
        self.assertIn(root, found)
        # A way from the CA that issues to the root.
        issuers = {cert.subject: cert for cert in found}
        for cert in found:
            while cert != root:
                self.assertIn(cert.issuer, issuers)
                cert = issuers[cert.issuer]

    def test_f06_without_accept(self):
        answer, _ = self.ask(f"{EST}/crts")
        self.assert_certs_only(answer)
        answer, _ = self.post("sen", self.csr("no-accept")[1])
        self.assert_certs_only(answer)

    def test_e01_e05_f03_sen(self):
        key, request = self.csr("sen", "-addext", "subjectAltName=DNS:gateway-1.local")
        answer, _ = self.post("sen", request, "-A", "281")
        self.assert_certs_only(answer)
        cert = self.certificates(answer)
        self.assertEqual(len(pki.load_certs(cert)), 1)
        self.assertIn("DNS:gateway-1.local",
                      openssl("x509", "-in", cert, "-noout", "-ext", "subjectAltName"))
        self.assert_pair(key, cert)

    def test_e01_e12_sren(self):
        """With the same key, and with another; who renews is who holds the certificate."""
        key, request = self.csr("sren")
        cert = self.certificates(self.post("sen", request)[0])
        renewed = self.certificates(self.post("sren", request, who=(cert, key))[0])
        self.assert_pair(key, renewed)
        self.assertNotEqual(*(openssl("x509", "-in", c, "-noout", "-serial") for c in (cert, renewed)))
        old = key.rename(self.path("old.key"))
        key, request = self.csr("sren")
        rekeyed = self.certificates(self.post("sren", request, who=(renewed, old))[0])
        self.assert_pair(key, rekeyed)

    def test_f06_a_single_certificate(self):
        key, request = self.csr("single")
        answer, _ = self.post("sen", request, "-A", "287")
        self.assert_pair(key, self.certificates(answer, "x509"))

    def test_c13_no_part_of_two(self):
        self.assertIn("4.06", self.ask(f"{EST}/crts", "-A", "287")[1])

    def test_f07_r06_refusals_say_why(self):
        self.assertIn("4.06 content format", self.ask(f"{EST}/crts", "-A", "60")[1])

    def test_a02_a04_a06_a07_f05_att(self):
        """The curve, the signature and one list of extensions, as openssl reads them."""
        for accept in ((), ("-A", "285")):
            lines = asn1(self.ask(f"{EST}/att", *accept)[0])
            self.assertEqual(lines[0][:2], (0, "SEQUENCE"))
            found = [line[2] for line in lines if line[1] == "OBJECT"]
            self.assertEqual(sorted(found), sorted([
                "id-ecPublicKey", "prime256v1", "Extension Request", "X509v3 Key Usage",
                "ecdsa-with-SHA256"]))
            at = lines.index((2, "OBJECT", "Extension Request"))
            self.assertEqual([line[:2] for line in lines[at + 1:at + 4]],
                             [(2, "SET"), (3, "SEQUENCE"), (4, "SEQUENCE")])
            at = lines.index((2, "OBJECT", "id-ecPublicKey"))
            self.assertEqual(lines[at + 1:at + 3],
                             [(2, "SET", None), (3, "OBJECT", "prime256v1")])

    def test_k02_k09_f04_skg_and_skc(self):
        for op, kind, form in (("skg", "pkcs7", 281), ("skc", "x509", 287)):
            answer, _ = self.post(op, self.csr(op)[1], "-A", "62")
            found = coap.multipart(answer.read_bytes())
            self.assertEqual(set(found), {284, form})
            key, cert = self.path(f"{op}-made.der"), self.path(f"{op}-cert.der")
            key.write_bytes(found[284])
            cert.write_bytes(found[form])
            openssl("pkcs8", "-inform", "DER", "-nocrypt", "-in", key, "-out", f"{key}.pem")
            self.assert_pair(f"{key}.pem", self.certificates(cert, kind))

    def test_u07_u08_discovery(self):
        answer, _ = self.ask("/.well-known/core?rt=ace.est*")
        links = dict(re.findall(r"<([^>]*)>;([^,]*)", answer.read_text()))
        for name, formats in (("crts", '"281 287"'), ("sen", '"281 287"'), ("sren", '"281 287"'),
                              ("att", "285"), ("skg", "62"), ("skc", "62")):
            self.assertEqual(links[f"{EST}/{name}"], f'rt="ace.est.{name}";ct={formats}')

    def test_e14_a_ca_is_never_asked_into_being(self):
        """What the rule does not allow is dropped, and never turned round (RFC 5272 section 3.1)."""
        _, request = self.csr("ca", "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
                              "1.2.3.4.5=ASN1:UTF8String:unknown")
        answer, text = self.post("sen", request)
        shown = openssl("x509", "-in", self.certificates(answer), "-noout", "-text")
        self.assertNotIn("CA:TRUE", shown, text)
        self.assertNotIn("1.2.3.4.5", shown)

    def test_b01_in_blocks(self):
        key, request = self.csr("blocks")
        answer, _ = self.post("sen", request, "-b", "64")
        self.assert_pair(key, self.certificates(answer))

    def test_flights_of_many_lengths(self):
        """Signatures differ in length, and with them where a datagram ends within a flight. GnuTLS
        3.7.9 cannot take every place: no message may begin with a single byte."""
        for _ in range(20):
            self.assert_certs_only(self.ask(f"{EST}/crts")[0])

    def test_z_wireshark_finds_nothing_wrong(self):
        """Runs last, by its name: it looks at what the registrar has sent to all the others."""
        def rows(display_filter):
            return capture.tshark(self.pcap, self.secrets, self.proxy.port, display_filter,
                                  "frame.number", "coap.code")
        self.assertGreater(len(rows("coap.code == 68 || coap.code == 69")), 1)
        self.assertEqual(rows(f"udp.srcport == {self.proxy.port} && ({capture.WRONG})"), [])


class OpenSsl(Judge):
    program = "coap-client-openssl"


class GnuTls(Judge):
    program = "coap-client-gnutls"


del Judge

if __name__ == "__main__":
    harness.main()
