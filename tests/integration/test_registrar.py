#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""est-registrar as a program: its commands, its life, and clients that are not ours."""
import re
import signal
import sqlite3

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from OpenSSL import SSL

import coap
import harness
import pki
import rogue_client

EST = "/.well-known/est"
REGISTRAR = harness.REGISTRAR


class RegistrarCase(harness.TestCase):
    """A site whose registrar is not running yet."""

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        self.conf = self.s.site / "est-registrar.conf"

    def client(self, key=None, certs=None, device="gateway-1"):
        folder = self.s.site / "devices" / device
        client = rogue_client.Client(self.s.port, key or pki.load_key(folder / "key.pem"),
                                     certs or pki.load_certs(folder / "cert.pem"))
        self.addCleanup(client.close)
        return client

    def post(self, op, request, **who):
        """(dotted code, the certificate or the diagnostic)"""
        with self.client(**who) as client:
            code, body, _ = client.request(coap.POST, f"{EST}/{op}", request, coap.PKCS10)
        if code != 204:
            return code, body.decode()
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        return code, cert

    def enroll(self, request, **who):
        code, cert = self.post("sen", request, **who)
        self.assertEqual(code, 204, cert)
        return cert

    def sql(self, statement):
        with sqlite3.connect(self.s.site / "ledger.sqlite", timeout=10) as db:
            return db.execute(statement).fetchall()


class Foreign(RegistrarCase):
    """Clients that share no line of code with us: libcoap's, with requests by openssl."""

    def coap_client(self, *arguments):
        device = self.s.site / "devices" / "gateway-1"
        return harness.run("coap-client-openssl", "-c", device / "cert.pem", "-j",
                           device / "key.pem", "-R", self.s.site / "trust.pem", "-B", "15",
                           *arguments)

    def test_openssl_request_posted_by_libcoap(self):
        self.s.start_registrar()
        url = f"coaps://127.0.0.1:{self.s.port}{EST}"
        cacerts, key, request, answer = (self.s.dir / name for name in (
            "crts.p7", "key.pem", "request.der", "answer.p7"))
        done = self.coap_client("-o", cacerts, f"{url}/crts")
        self.assertEqual(done.status, 0, done)
        done = harness.run(
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-outform", "DER", "-out", request, "-subj",
            "/CN=gateway-1-openssl", "-addext", "subjectAltName=DNS:gateway-1.local")
        self.assertEqual(done.status, 0, done)
        done = self.coap_client("-m", "post", "-t", "286", "-f", request, "-o", answer,
                                f"{url}/sen")
        self.assertEqual(done.status, 0, done)

        def certificates(source):
            done = harness.run("openssl", "pkcs7", "-inform", "DER", "-in", source, "-print_certs",
                               "-out", source.with_suffix(".pem"))
            self.assertEqual(done.status, 0, done)
            return source.with_suffix(".pem")
        cert, above = certificates(answer), certificates(cacerts)
        verified = harness.run("openssl", "verify", "-x509_strict", "-CAfile",
                               self.s.site / "trust.pem", "-untrusted", above, cert)
        self.assertEqual(verified.status, 0, verified)
        public = harness.run("openssl", "pkey", "-in", key, "-pubout")
        certified = harness.run("openssl", "x509", "-in", cert, "-noout", "-pubkey")
        self.assertEqual(public.out, certified.out)
        issued, = pki.load_certs(cert)
        self.assertEqual(self.sql("SELECT subject, op, rule, collected_at FROM certificates"),
                         [("CN=gateway-1-openssl", "sen", "devices", 0)])
        serial, = self.sql("SELECT serial FROM certificates")
        self.assertEqual(int(serial[0], 16), issued.serial_number)
        # One line says who, what, how and by which rule.
        line, = [line for line in self.s.registrar.log().splitlines() if "CN=gateway-1-openssl" in line]
        self.assertRegex(line, r"sen from 127\.0\.0\.1:\d+ \(CN=gateway-1\) for "
                               r"'CN=gateway-1-openssl': issued [0-9A-F]+ by rule 'devices' until ")

    def test_a_refusal_reaches_libcoaps_client(self):
        self.s.start_registrar()
        request = self.s.dir / "request.der"
        request.write_bytes(pki.request(pki.new_key(), "gateway-2"))
        done = self.coap_client("-m", "post", "-t", "286", "-f", request,
                                f"coaps://127.0.0.1:{self.s.port}{EST}/sen")
        self.assertIn("4.03", done.err + done.out)
        self.assertIn("commonName 'gateway-2' matches no pattern of rule 'devices'",
                      done.err + done.out)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(0,)])


class Kinds(RegistrarCase):
    def test_n02_birth_certificates_enrol_and_issued_ones_renew(self):
        """Which CA a client comes from is known, and decides what it may do."""
        self.s.start_registrar()
        key = pki.new_key()
        cert = self.enroll(pki.request(key, "gateway-1"))
        code, text = self.post("sren", pki.request(pki.new_key(), "gateway-1"))
        self.assertEqual((code, "issued here" in text), (403, True), text)
        code, text = self.post("sen", pki.request(pki.new_key(), "gateway-1-x"), key=key, certs=[cert])
        self.assertEqual((code, "birth certificate" in text), (403, True), text)
        code, text = self.post("sren", pki.request(pki.new_key(), "gateway-1"), key=key, certs=[cert])
        self.assertEqual(code, 204, text)


class Life(RegistrarCase):
    """Start, signals, restart, and a second one."""

    def test_signals(self):
        registrar = self.s.start_registrar()
        self.assertTrue(registrar.notified(f"STATUS=serving on 127.0.0.1:{self.s.port}"))
        registrar.send_signal(signal.SIGHUP)
        harness.wait_for(lambda: "restart to put it in force" in registrar.log(), "SIGHUP is seen")
        self.enroll(pki.request(pki.new_key(), "gateway-1"))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                registrar = self.s.registrar
                registrar.send_signal(number)
                harness.wait_for(lambda r=registrar: r.notified("STOPPING=1"), "it says so")
                self.assertEqual(registrar.wait_exit(), 0)
                self.s.start_registrar()

    def second(self):
        done = harness.run(REGISTRAR, "-c", self.other)
        self.assertEqual(done.status, harness.FAILED, done)
        return done.err

    def test_a_second_one_steals_nothing(self):
        self.s.start_registrar()
        self.other = self.s.dir / "other.conf"
        text = self.conf.read_text()
        absolute = re.sub(r'"((?:ca|server|factory)/)', rf'"{self.s.site}/\1', text)
        self.other.write_text(absolute)  # another ledger, the same port
        self.assertIn("cannot listen on 127.0.0.1", self.second())
        port = harness.free_port()
        self.other.write_text(re.sub(r"^port = .*", f"port = {port};", absolute, flags=re.M)
                              .replace('"ledger.sqlite"', f'"{self.s.site}/ledger.sqlite"'))
        self.assertIn("another est-registrar works with it", self.second())
        self.enroll(pki.request(pki.new_key(), "gateway-1"))  # the first one serves on

    def test_d06_restart_keeps_what_counts_as_the_same(self):
        key, renewed_key = pki.new_key(), pki.new_key()
        first_request = pki.request(key, "gateway-1")
        for number in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(signal=number):
                self.s.start_registrar()
                first = self.enroll(first_request)
                self.s.registrar.stop(number)
                self.s.start_registrar()
                # Signed again, so that not a byte of the old request is needed.
                self.assertEqual(self.enroll(pki.request(key, "gateway-1")), first)
                self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(1,)])
                self.s.registrar.stop()
        self.s.start_registrar()
        own = {"key": key, "certs": [first]}
        code, renewed = self.post("sren", pki.request(renewed_key, "gateway-1"), **own)
        self.assertEqual(code, 204, renewed)
        self.s.registrar.stop(signal.SIGKILL)
        self.s.start_registrar()
        self.assertEqual(self.post("sren", pki.request(renewed_key, "gateway-1"), **own),
                         (204, renewed))
        # The first has been shown: its own request, once more, is a new one.
        self.assertNotEqual(self.enroll(first_request), first)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(3,)])
        self.assertIn("sent again", self.s.registrar.log())

    def test_a_revoked_certificate_renews_nothing(self):
        self.s.start_registrar()
        key = pki.new_key()
        cert = self.enroll(pki.request(key, "gateway-1"))
        with rogue_client.Client(self.s.port, key, [cert]) as client:
            self.sql("UPDATE certificates SET revoked_at = 1 "
                     f"WHERE serial LIKE '%{cert.serial_number:X}'")
            for code, body, _ in (client.request(coap.POST, f"{EST}/sren",
                                                 pki.request(pki.new_key(), "gateway-1"), coap.PKCS10),
                                  client.request(coap.GET, f"{EST}/crts")):
                self.assertEqual((code, body.decode()), (403, "the client certificate is revoked"))
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(1,)])

    def test_a_revoked_certificate_gets_no_old_session_back(self):
        self.s.start_registrar()
        key = pki.new_key()
        cert = self.enroll(pki.request(key, "gateway-1"))

        def connect(session=None):
            """(session, whether it took a full handshake)"""
            with rogue_client.Client(self.s.port, key, [cert], session=session) as client:
                self.assertEqual(client.request(coap.GET, f"{EST}/crts")[0], 205)
                full = bool(client.dtls.server_keys)
                return client.dtls.endpoint.connection.get_session(), full
        session, full = connect()
        self.assertTrue(full)
        self.assertEqual(connect(session)[1], False)
        self.sql("UPDATE certificates SET revoked_at = 1")
        for before in (session, None):
            with self.assertRaises(SSL.Error) as raised:
                connect(before)
            self.assertIn("certificate revoked", str(raised.exception))

    def test_a_name_belongs_to_one_device(self):
        text = self.conf.read_text().replace('"${CN}-*"', '"shared"')
        self.conf.write_text(text)
        self.s.start_registrar()
        self.enroll(pki.request(pki.new_key(), "shared"))
        code, text = self.post("sen", pki.request(pki.new_key(), "shared"), device="gateway-2")
        self.assertEqual(code, 403)
        self.assertIn("the name 'CN=shared' belongs to another device until ", text)

    def test_labels(self):
        self.s.start_registrar()
        code, cert = self.post("short/sen", pki.request(pki.new_key(), "gateway-1"))
        self.assertEqual(code, 204, cert)
        self.assertLessEqual((cert.not_valid_after - cert.not_valid_before).total_seconds(), 4000)
        self.assertEqual(self.post("long/sen", pki.request(pki.new_key(), "gateway-1")),
                         (404, "there is no label 'long' here"))

    def test_a_backup_is_made_beside_it_and_put_back(self):
        self.s.start_registrar()
        key = pki.new_key()
        first = self.enroll(pki.request(key, "gateway-1"))
        copy = self.s.dir / "copy.sqlite"

        def backup(status):
            done = harness.run(REGISTRAR, "backup", "-c", self.conf, copy)
            self.assertEqual(done.status, status, done)
            return done
        self.assertIn("copy.sqlite is a copy of ", backup(harness.DONE).out)
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)
        self.assertIn("copy.sqlite", backup(harness.FAILED).err)  # never over something
        self.enroll(pki.request(pki.new_key(), "gateway-1-later"))
        self.s.registrar.stop()
        for path in self.s.site.glob("ledger.sqlite*"):
            path.unlink()
        copy.rename(self.s.site / "ledger.sqlite")
        self.s.start_registrar()
        self.assertEqual(self.enroll(pki.request(key, "gateway-1")), first)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(1,)])

    def test_without_a_ledger_devices_come_again(self):
        self.s.start_registrar()
        self.sql("ALTER TABLE certificates RENAME TO elsewhere")
        with self.client() as client:
            request = pki.request(pki.new_key(), "gateway-1")
            code, body, last = client.request(coap.POST, f"{EST}/sen", request, coap.PKCS10)
        self.assertEqual((code, body), (503, b"the CA cannot record anything now"))
        self.assertEqual(last.option(coap.MAX_AGE), bytes([30]))
        self.sql("ALTER TABLE elsewhere RENAME TO certificates")
        self.enroll(request)


class Commands(harness.TestCase):
    """init, device, -n and the rest of the command line."""

    def setUp(self):
        self.s = self.site()

    def run_registrar(self, *arguments, status=harness.DONE):
        done = harness.run(REGISTRAR, *arguments)
        self.assertEqual(done.status, status, done)
        return done

    def check(self, status=harness.CONFIG_TEXT):
        return self.run_registrar("-n", "-c", self.s.site / "est-registrar.conf", status=status)

    def test_help_and_version(self):
        for arguments in (["--help"], ["-h"], ["init", "--help"], ["device", "--help"]):
            self.assertIn("Usage: est-registrar", self.run_registrar(*arguments).out)
        self.assertRegex(self.run_registrar("--version").out, r"^est-registrar \d+\.\d+\.\d+\n$")

    def test_wrong_usage(self):
        for arguments in (["--bad"], ["run"], ["init"], ["init", "a", "b"], ["device", "a"],
                          ["init", "x", "--lifetime", "40y"], ["init", "x", "--name", "a b"],
                          ["init", "x", "--device", "../x"], ["device", "a", "b", "c"], ["-c"]):
            with self.subTest(arguments=arguments):
                done = self.run_registrar(*arguments, status=harness.BAD_USAGE)
                self.assertTrue(done.err.strip())
                self.assertEqual(done.out, "")

    def test_init_and_what_it_prints(self):
        done = self.run_registrar("init", self.s.site, "--name", "ca.example.net", "--device", "gw-1")
        self.assertIn(f"Start it:   est-registrar -c {self.s.site}/est-registrar.conf", done.out)
        self.assertIn('url = "coaps://ca.example.net"', done.out)
        # What it prints for a device is a configuration as it stands.
        snippet = done.out[done.out.index("identities"):]
        conf = self.s.dir / "printed.conf"
        conf.write_text(snippet)
        checked = harness.run(harness.ESTCD, "-n", "-c", conf)
        self.assertEqual(checked.status, harness.DONE, checked)
        self.assertIn("configuration ok", self.check(harness.DONE).out)
        self.assertFalse((self.s.site / "ledger.sqlite").exists())  # a check makes nothing

    def test_init_overwrites_nothing(self):
        self.s.site.mkdir()
        (self.s.site / "letter").write_text("dear")
        done = self.run_registrar("init", self.s.site, status=harness.FAILED)
        self.assertIn("is not empty: name a new folder", done.err)
        self.assertEqual([p.name for p in self.s.site.iterdir()], ["letter"])
        (self.s.site / "letter").unlink()
        self.run_registrar("init", self.s.site)  # an empty one will do
        key = (self.s.site / "ca/issuing.key").read_bytes()
        self.run_registrar("init", self.s.site, status=harness.FAILED)
        self.assertEqual((self.s.site / "ca/issuing.key").read_bytes(), key)

    def test_one_more_device(self):
        self.s.init_registrar("--device", "gateway-1")
        self.assertIn("devices/gateway-2/cert.pem",
                      self.run_registrar("device", self.s.site, "gateway-2").out)
        done = self.run_registrar("device", self.s.site, "gateway-2", status=harness.FAILED)
        self.assertIn("there is a devices/gateway-2 already", done.err)
        self.s.start_registrar()
        with rogue_client.Client(self.s.port, *self.s.birth("gateway-2")) as client:
            code, body, _ = client.request(coap.POST, f"{EST}/sen",
                                           pki.request(pki.new_key(), "gateway-2"), coap.PKCS10)
        self.assertEqual(code, 204, body)

    def test_check_names_every_error_of_the_text(self):
        self.s.init_registrar()
        file = self.s.site / "est-registrar.conf"
        file.write_text(file.read_text().replace('client_ca = "factory"', 'client_ca = "fabric"', 1)
                        .replace("port = ", "prot = ").replace("${CN}.local", "${CM}.local"))
        done = self.check()
        for text in ("'fabric' is not in client_cas", "prot", "port", "there is no '${CM}'"):
            self.assertIn(text, done.err)
        for line in done.err.splitlines():
            self.assertRegex(line, r"^est-registrar: .*/est-registrar\.conf:\d+: ")
        # Serving says the same, and ends the same.
        self.assertEqual(self.run_registrar("-c", file, status=harness.CONFIG_TEXT).err, done.err)

    def test_check_names_every_unfit_file(self):
        self.s.init_registrar()
        (self.s.site / "ca/issuing.key").chmod(0o644)
        (self.s.site / "server/key.pem").unlink()
        (self.s.site / "factory/ca.pem").write_text("no certificate\n")
        (self.s.site / "ledger.sqlite").write_text("no ledger, but long enough to be looked at. " * 9)
        done = self.check()
        self.assertEqual(len(done.err.splitlines()), 4, done)
        for text in ("ca/issuing.key: others than its owner have access", "server/key.pem",
                     "factory/ca.pem", "ledger.sqlite: file is not a database"):
            self.assertIn(text, done.err)
        self.run_registrar("-c", self.s.site / "est-registrar.conf", status=harness.FAILED)

    def test_check_looks_at_the_servers_certificate(self):
        self.s.init_registrar()
        authority = pki.Authority("Site")
        for name, options, text in (
                ("expired", {"start": -10 * pki.DAY, "life": pki.DAY}, "has expired: renew it"),
                ("client", {"usages": (x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH,)},
                 "is not for a server")):
            with self.subTest(name=name):
                key, cert = authority.leaf("localhost", ["localhost"], **options)
                pki.write_key(self.s.site / "server/key.pem", key)
                pki.write_certs(self.s.site / "server/cert.pem", cert)
                self.assertIn(text, self.check().err)
                done = self.run_registrar("-c", self.s.site / "est-registrar.conf",
                                          status=harness.FAILED)
                self.assertIn(text, done.err)

    def test_check_beside_a_running_one(self):
        self.s.init_registrar()
        self.s.start_registrar()
        self.assertIn("configuration ok: 2 rules", self.check(harness.DONE).out)


if __name__ == "__main__":
    harness.main()
