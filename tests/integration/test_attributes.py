#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""CSR attributes (/att): what est-registrar says and demands, read by openssl; what estcd makes of
it; and servers that wish for what they should not."""
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID, NameOID
from OpenSSL import SSL

import coap
import harness
import pki
import rogue
import rogue_client
from rogue import Answer, honest

EST = "/.well-known/est"
CSRATTRS = 285
VECTORS = harness.ROOT / "tests" / "vectors"
ALL = ["key", "signature", "pop", "names", "extensions"]
WISH = re.compile(r"(\S+): the server's wishes: (.*)")


def wishes(site, identity):
    """What the daemon's log says of the server's wishes."""
    return [text for name, text in WISH.findall(site.daemon.log()) if name == identity]


class Registrar(harness.TestCase):
    """est-registrar whose rule for devices says more."""

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")

    def rule(self, text, subject=""):
        """Adds settings to the rule of the devices, and starts the registrar."""
        file = self.s.site / "est-registrar.conf"
        before = file.read_text()
        after = before.replace('name = "devices";', f'name = "devices"; {text}', 1)
        after = after.replace("subject = { CN =", "subject = { " + subject + " CN =", 1)
        self.assertNotEqual(before, after)
        file.write_text(after)
        self.s.start_registrar()

    def att(self, label=""):
        """(structure by openssl asn1parse) of what libcoap's client gets; "" when it is 4.04."""
        device = self.s.site / "devices" / "gateway-1"
        out = self.s.dir / "att.der"
        out.unlink(missing_ok=True)
        done = harness.run("coap-client-openssl", "-c", device / "cert.pem", "-j",
                           device / "key.pem", "-R", self.s.site / "trust.pem", "-B", "15",
                           "-A", str(CSRATTRS), "-o", out,
                           f"coaps://127.0.0.1:{self.s.port}{EST}{label}/att")
        self.assertEqual(done.status, 0, done)
        if "4.04" in done.out + done.err:
            return ""
        parsed = harness.run("openssl", "asn1parse", "-inform", "DER", "-in", out)
        self.assertEqual(parsed.status, 0, parsed)
        return parsed.out

    def structure(self):
        """The same as (depth, type, value)."""
        return [(int(m[1]), " ".join(m[2].split()), m[3]) for m in re.finditer(
            r"d=(\d+) .*?(?:prim|cons): ([^:\n]+?)\s*(?::(.*))?$", self.att(), re.M)]

    def enrol(self, *identities):
        self.s.write_config(list(identities))
        self.s.start_daemon()

    def test_a02_nothing_to_say_is_404(self):
        self.s.start_registrar()
        self.assertEqual(self.att(), "")
        self.enrol(self.s.identity("gw"))
        self.s.wait_state("gw", "valid")
        self.assertEqual(wishes(self.s, "gw"), [])

    def test_a04_a06_a07_p07_plain_form_by_openssl(self):
        self.rule('key_types = [ "p384" ]; pop = "required"; attributes = { signature = "sha512"; '
                  'subject = [ "O=Site", "serialNumber" ]; '
                  'extensions = [ "keyUsage=critical,digitalSignature" ]; };')
        lines = self.structure()
        # challengePassword, O=Site, serialNumber, the key, one list of extensions, the signature.
        self.assertEqual(lines, [
            (0, "SEQUENCE", None),
            (1, "OBJECT", "challengePassword"),
            (1, "SEQUENCE", None), (2, "OBJECT", "organizationName"), (2, "SET", None),
            (3, "UTF8STRING", "Site"),
            (1, "OBJECT", "serialNumber"),
            (1, "SEQUENCE", None), (2, "OBJECT", "id-ecPublicKey"), (2, "SET", None),
            (3, "OBJECT", "secp384r1"),
            (1, "SEQUENCE", None), (2, "OBJECT", "Extension Request"), (2, "SET", None),
            (3, "SEQUENCE", None), (4, "SEQUENCE", None), (5, "OBJECT", "X509v3 Key Usage"),
            (5, "BOOLEAN", "255"), (5, "OCTET STRING [HEX DUMP]", "03020780"),
            (1, "OBJECT", "ecdsa-with-SHA512")])

    def test_a10_a12_template_by_openssl(self):
        self.rule('key_types = [ "rsa3072" ]; pop = "required"; attributes = { form = "template"; '
                  'subject = [ "O=Site", "serialNumber" ]; '
                  'extensions = [ "keyUsage=digitalSignature", "extendedKeyUsage" ]; };')
        lines = self.structure()
        self.assertEqual(lines[:5], [
            (0, "SEQUENCE", None), (1, "SEQUENCE", None),
            (2, "OBJECT", "1.2.840.113549.1.9.16.2.61"), (2, "SET", None), (3, "SEQUENCE", None)])
        self.assertEqual([(kind, value) for depth, kind, value in lines if depth == 4], [
            ("INTEGER", "00"), ("SEQUENCE", None), ("cont [ 0 ]", None), ("cont [ 1 ]", None)])
        values = [value for _, kind, value in lines if kind == "OBJECT"]
        self.assertEqual(values[1:], [
            "organizationName", "serialNumber", "rsaEncryption", "challengePassword",
            "1.2.840.113549.1.9.16.2.62", "X509v3 Key Usage", "X509v3 Extended Key Usage"])

    def test_a01_other_clients_and_labels_other_wishes(self):
        self.rule('key_types = [ "p384" ];')
        self.assertIn("secp384r1", self.att())
        self.assertEqual(self.att("/short"), "")  # another rule
        self.assertEqual(self.att("/unknown"), "")
        with self.assertRaises(SSL.Error):  # nobody without a certificate is told anything
            with rogue_client.Client(self.s.port) as client:
                client.request(coap.GET, f"{EST}/att")

    def test_a03_a05_p07_estcd_does_as_it_is_told(self):
        self.rule('key_types = [ "p384" ]; pop = "required"; attributes = { signature = "sha512"; '
                  'subject = [ "O=Site" ]; extensions = [ "keyUsage=digitalSignature" ]; '
                  'demand = true; };', 'O = [ "Site" ];')
        self.enrol(self.s.identity("all", obey=ALL), self.s.identity("some"),
                   self.s.identity("none", obey="none"))
        self.s.wait_state("all", "valid")
        shown = self.s.show("all")["certificate"]
        self.assertEqual(shown["key_type"], "p384")
        self.assertIn("O=Site", shown["subject"])
        self.assertEqual(wishes(self.s, "all"), [
            "key id-ecPublicKey on secp384r1: granted, other than configured",
            "signature ecdsa-with-SHA512: granted", "channel binding: granted",
            "subject O=Site: granted", "extension keyUsage: granted"])
        # The daemon does not take names on hearsay; the refusal says what was missing.
        done = self.s.estc("enroll", "some")
        self.assertEqual(done.status, harness.REJECTED, done)
        shown = self.s.show("some")
        self.assertEqual(shown["last_result"], "rejected")
        self.assertRegex(shown["last_error"], "lacks what /att asks for: in the subject, O")
        self.assertIn("subject O=Site: not granted, obey does not name names",
                      wishes(self.s, "some"))
        done = self.s.estc("enroll", "none")
        self.assertEqual(done.status, harness.REJECTED, done)
        self.assertRegex(self.s.show("none")["last_error"], "does not take keys of kind p256")
        self.assertEqual(wishes(self.s, "none"), [])
        # Renewals are told the same by the rule that granted, and keep their names.
        done = self.s.estc("renew", "all", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(wishes(self.s, "all")[-2:], [
            "subject O=Site: granted, as it is", "extension keyUsage: granted"])
        self.s.assert_consistent("all")

    def test_r06_a_refusal_names_what_is_missing(self):
        self.rule('attributes = { signature = "sha384"; subject = [ "O=Site" ]; extensions = '
                  '[ "keyUsage=digitalSignature", "subjectAltName=DNS:gateway-1" ]; demand = true; '
                  '};', 'O = [ "Site" ];')
        key, certs = self.s.birth()

        def post(*, digest=hashes.SHA384(), organization=True, usage=True, san="gateway-1"):
            names = [x509.NameAttribute(NameOID.COMMON_NAME, "gateway-1")]
            if organization:
                names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Site"))
            csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
            if usage:
                csr = csr.add_extension(x509.KeyUsage(True, *[False] * 8), False)
            if san:
                csr = csr.add_extension(x509.SubjectAlternativeName([x509.DNSName(san)]), False)
            body = csr.sign(pki.new_key(), digest).public_bytes(pki.serialization.Encoding.DER)
            with rogue_client.Client(self.s.port, key, certs) as client:
                code, answer, _ = client.request(coap.POST, f"{EST}/sen", body, coap.PKCS10)
            return code, answer
        for changed, missing in (({"digest": hashes.SHA256()}, b"a signature with SHA384"),
                                 ({"organization": False}, b"in the subject, O"),
                                 ({"usage": False}, b"extension keyUsage"),
                                 ({"san": None}, b"extension subjectAltName"),
                                 ({"san": "gateway-1.local"}, b"extension subjectAltName")):
            with self.subTest(missing=missing):
                code, answer = post(**changed)
                self.assertEqual(code, 403, answer)
                self.assertIn(b"lacks what /att asks for: " + missing, answer)
        code, answer = post()
        self.assertEqual(code, 204, answer)

    def test_a09_both_forms_and_the_template_counts(self):
        self.rule('key_types = [ "p384" ]; attributes = { form = "both"; subject = [ "O=Site" ]; };',
                  'O = [ "Site" ];')
        text = self.att()
        self.assertEqual(text.count("secp384r1"), 2)
        self.enrol(self.s.identity("gw", obey=ALL, subject="CN=gateway-1"))
        self.s.wait_state("gw", "valid")
        # The template's order: what it names first, the rest behind it.
        self.assertEqual(self.s.show("gw")["certificate"]["subject"], "CN=gateway-1,O=Site")

    def test_configurations_that_cannot_be_said(self):
        for text, reason in (
                ('subject = [ "nonsense" ];', "attributes.subject: 'nonsense'"),
                ('subject = [ "O=a,OU=b" ];', "neither TYPE=VALUE nor a TYPE alone"),
                ('extensions = [ "noSuch=1" ];', "attributes.extensions: 'noSuch=1'"),
                ('extensions = [ "keyUsage=flying" ];', "the value is none"),
                ('extensions = [ "keyUsage", "keyUsage" ]; form = "template";', "named twice"),
                ('extensions = [ "keyUsage" ];', "no words for an extension left open"),
                ('signature = "sha384"; form = "template";', "no words for the algorithm"),
                ('signature = "md5";', "signature")):
            with self.subTest(text=text):
                file = self.s.site / "est-registrar.conf"
                before = file.read_text()
                file.write_text(before.replace(
                    'name = "devices";', 'name = "devices"; attributes = { %s };' % text, 1))
                done = harness.run(harness.REGISTRAR, "-c", file)
                file.write_text(before)
                self.assertEqual(done.status, 78, done)
                self.assertIn(reason, done.err)


def tlv_oid(*content):
    return pki.tlv(0x06, bytes(content))


def attribute(oid, *values):
    return pki.tlv(0x30, oid, pki.tlv(0x31, *values))


CN, ORGANIZATION = tlv_oid(0x55, 4, 3), tlv_oid(0x55, 4, 10)
EXT_REQ = tlv_oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14)


def extension(oid, value):
    return pki.tlv(0x30, oid, pki.tlv(0x04, value))


# CN=evil, O=Evil; DNS:evil.example; CA:TRUE; keyCertSign.
EVIL = pki.tlv(
    0x30, attribute(CN, pki.tlv(0x0c, b"evil")), attribute(ORGANIZATION, pki.tlv(0x0c, b"Evil")),
    attribute(EXT_REQ, pki.tlv(
        0x30,
        extension(tlv_oid(0x55, 0x1d, 17), pki.tlv(0x30, pki.tlv(0x82, b"evil.example"))),
        extension(tlv_oid(0x55, 0x1d, 19), pki.tlv(0x30, pki.tlv(0x01, b"\xff"))),
        extension(tlv_oid(0x55, 0x1d, 15), b"\x03\x02\x02\x04"))))
VECTOR_LABELS = {file.name.split(".der")[0].replace(".", "_").lower(): file
                 for pattern in ("*csrattrs*.der",) for file in VECTORS.glob(pattern)}


def wish(der, content_format=CSRATTRS, code=205):
    return lambda asked: (Answer(code, der, content_format) if asked.op == "att"
                          else honest(asked))


NO_OBSTACLES = {
    "garbage": wish(b"garbage"),
    "nothing": wish(b""),
    "left-over": wish(b"\x30\x00\x00"),
    "two-keys": wish(pki.tlv(0x30, *[tlv_oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1)] * 2)),
    "other-format": wish(b"\x30\x00", 281),
    "other-code": wish(b"\x30\x00", code=204),
    "on-fire": wish(b"on fire", None, 500),
    "forbidden": wish(b"not for you", None, 403),
    "later": wish(b"", None, 503),
    "too-large": wish(b"\x30\x82\xff\xff" + b"\x06\x01\x2a" * 30000),
    "silence": lambda asked: rogue.SILENCE if asked.op == "att" else honest(asked),
    "empty-sequence": wish(b"\x30\x00"),
    "absent": honest,
}


class Rogue(harness.ClassSite):
    """Servers with a valid certificate and wishes that are none of their business, or no wishes."""

    @classmethod
    def start(cls, site):
        cls.ca, _ = rogue.authority(site)
        cls.requests = {}  # label -> the last CSR
        behaviours = {"evil-0": wish(EVIL), "evil-1": wish(EVIL), "evil-2": wish(EVIL),
                      **NO_OBSTACLES}
        behaviours.update({label: wish(file.read_bytes()) for label, file in VECTOR_LABELS.items()})
        key, cert = cls.ca.leaf("server", ["localhost"])
        cls.server = rogue.Server(cls.ca, key, [cert],
                                  {label: cls.kept(label, b) for label, b in behaviours.items()})
        cls.addClassCleanup(cls.server.close)
        obey = {"evil-1": ALL, "evil-2": "none"}
        site.write_config([
            # Explicit from the beginning: then a request is bound for the sake of a wish alone.
            rogue.identity(site, label, cls.server.port, label=label, subject="CN=mine",
                           url=f"coaps://localhost:{cls.server.port}{EST}",
                           subject_alt_names=["DNS:mine.example"], implicit_trust="never",
                           attempt_timeout="20s", obey=obey.get(label))
            for label in behaviours], max_attempts=16)
        site.start_daemon()

    @classmethod
    def kept(cls, label, behaviour):
        def function(asked):
            if asked.op == "sen":
                cls.requests[label] = asked.csr
            return behaviour(asked)
        return function

    def enrolled(self, label):
        done = self.shared.estc("enroll", label)
        self.assertEqual(done.status, harness.DONE, (done, self.shared.show(label)))
        return self.requests[label]

    def assert_as_configured(self, csr):
        self.assertEqual(csr.subject.rfc4514_string(), "CN=mine")
        extension, = csr.extensions
        self.assertEqual(extension.value.get_values_for_type(x509.DNSName), ["mine.example"])

    def test_a14_a_wrong_server_is_not_obeyed(self):
        self.assert_as_configured(self.enrolled("evil-0"))
        self.assertEqual(wishes(self.shared, "evil-0")[:3], [
            "subject CN=evil: not granted, obey does not name names",
            "subject O=Evil: not granted, obey does not name names",
            "subjectAltName: not granted, obey does not name names"])
        self.assert_as_configured(self.enrolled("evil-2"))
        self.assertNotIn(("att", "evil-2"), self.server.requests)

    def test_a11_a13_a14_who_lets_it_is_obeyed_but_for_a_ca(self):
        csr = self.enrolled("evil-1")
        self.assertEqual({a.value for a in csr.subject}, {"evil", "Evil"})
        self.assertEqual([e.oid for e in csr.extensions], [ExtensionOID.SUBJECT_ALTERNATIVE_NAME])
        san, = csr.extensions
        self.assertEqual(san.value.get_values_for_type(x509.DNSName),
                         ["evil.example", "mine.example"])
        self.assertEqual(wishes(self.shared, "evil-1")[-2:], [
            "extension basicConstraints: not granted, it is one for a CA",
            "extension keyUsage: not granted, it is one for a CA"])

    def test_a03_no_answer_is_no_obstacle(self):
        for label in NO_OBSTACLES:
            with self.subTest(label=label):
                self.assert_as_configured(self.enrolled(label))

    def test_a03_a05_a08_a09_the_examples_of_the_rfcs(self):
        """What the daemon may follow by default, it follows; nothing else gets into a request."""
        p384 = ("8951-s4", "9908-5_2", "9908-5_5")
        unbound = ("9908-3", "9908-4", "9908-5_1", "8951-csrattrs")
        for label in VECTOR_LABELS:
            with self.subTest(label=label):
                csr = self.enrolled(label)
                self.assert_as_configured(csr)
                self.assertEqual(csr.public_key().key_size,
                                 4096 if "rsa4096" in label else
                                 384 if label.startswith(p384) else 256)
                self.assertEqual(any(a.oid._name == "challengePassword" for a in csr.attributes),
                                 not label.startswith(unbound))


if __name__ == "__main__":
    harness.main()
