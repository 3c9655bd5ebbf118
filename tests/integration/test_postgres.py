#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Several registrars with one ledger in PostgreSQL: any of them answers, none issues twice."""
import concurrent.futures
import re
import shutil
import signal

from cryptography.hazmat.primitives.serialization import pkcs7

import coap
import harness
import pki
import postgres
import rogue_client

EST = "/.well-known/est"
REGISTRARS = 3


class Postgres(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.close)
        cls.n = 0

    def setUp(self):
        type(self).n += 1
        self.database = f"ledger{self.n}"
        self.s = self.site()
        self.devices = [f"gw-{i}" for i in range(1, 7)]
        self.s.init_registrar(*[part for name in self.devices for part in ("--device", name)])
        self.conninfo = self.server.create(self.database)
        self.s.set_registrar("database", self.conninfo)

    def sql(self, statement):
        return self.server.sql(statement, self.database)

    def start(self, count=REGISTRARS):
        """[(process, port, control socket)], one registrar each, with one CA and one ledger"""
        text = (self.s.site / "est-registrar.conf").read_text()
        self.registrars = []
        for i in range(count):
            port = harness.free_port()
            conf = self.s.site / f"registrar-{i}.conf"
            conf.write_text(re.sub(r"^port = .*", f"port = {port};", text, flags=re.M)
                            .replace('"control"', f'"control-{i}"'))
            process = self.s.start(f"registrar-{i}", harness.REGISTRAR, "-c", conf)
            self.registrars.append((process, port, self.s.site / f"control-{i}"))
        for process, _, _ in self.registrars:
            process.wait_ready()

    def post(self, which, op, request, device="gw-1", key=None, certs=None):
        """(dotted code, certificate or diagnostic) of registrar number `which`"""
        folder = self.s.site / "devices" / device
        with rogue_client.Client(self.registrars[which][1],
                                 key or pki.load_key(folder / "key.pem"),
                                 certs or pki.load_certs(folder / "cert.pem")) as client:
            code, body, _ = client.request(coap.POST, f"{EST}/{op}", request, coap.PKCS10)
        if code != 204:
            return code, body.decode()
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        return code, cert

    def test_any_of_them_answers(self):
        self.start()
        key, renewed = pki.new_key(), pki.new_key()
        code, first = self.post(0, "sen", pki.request(key, "gw-1"))
        self.assertEqual(code, 204, first)
        self.assertEqual(self.post(1, "sen", pki.request(key, "gw-1")), (204, first))
        own = {"key": key, "certs": [first]}
        code, second = self.post(2, "sren", pki.request(renewed, "gw-1"), **own)
        self.assertEqual(code, 204, second)
        self.assertEqual(self.post(0, "sren", pki.request(renewed, "gw-1"), **own), (204, second))
        # The first has been shown to another one, so its request is a new one here.
        code, third = self.post(1, "sen", pki.request(key, "gw-1"))
        self.assertEqual(code, 204, third)
        self.assertEqual(len({first.serial_number, second.serial_number, third.serial_number}), 3)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [("3",)])

    def test_a_request_waits_in_one_and_is_approved_in_another(self):
        conf = self.s.site / "est-registrar.conf"
        conf.write_text(conf.read_text().replace('name = "devices";',
                                                 'name = "devices"; approval = "manual";'))
        self.start()
        key = pki.new_key()
        for which in range(REGISTRARS):
            code, text = self.post(which, "sen", pki.request(key, "gw-1"))
            self.assertEqual((code, text), (503, "waits for approval as request 1"))
        done = self.s.estc("--registrar-socket", self.registrars[1][2], "registrar", "approve", "1")
        self.assertEqual(done.status, harness.DONE, done)
        code, cert = self.post(2, "sen", pki.request(key, "gw-1"))
        self.assertEqual(code, 204, cert)
        self.assertEqual(self.post(0, "sen", pki.request(key, "gw-1")), (204, cert))
        self.assertEqual(self.sql("SELECT state, certificate <> '' FROM requests"),
                         [("approved", "t")])

    def test_d06_asked_at_once_one_is_issued(self):
        """Each device asks all of them at the same moment, one is killed meanwhile; whoever hears
        nothing or 5.03 asks again."""
        self.start()
        keys = {name: pki.new_key() for name in self.devices}

        def enroll(name, which):
            def once():
                nonlocal which
                try:
                    code, cert = self.post(which, "sen", pki.request(keys[name], name), name)
                except (OSError, AssertionError):
                    which = (which + 1) % REGISTRARS  # it has gone
                    return None
                self.assertIn(code, (204, 503), cert)
                return cert if code == 204 else None
            return name, harness.wait_for(once, f"{name} enrolls", 30)
        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            jobs = [pool.submit(enroll, name, which) for name in self.devices
                    for which in range(REGISTRARS)]
            concurrent.futures.wait(jobs, return_when=concurrent.futures.FIRST_COMPLETED)
            self.registrars[0][0].stop(signal.SIGKILL)
            got = [job.result() for job in jobs]
        for name in self.devices:
            self.assertEqual(len({cert.serial_number for who, cert in got if who == name}), 1, name)
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT subject_id) FROM certificates"),
                         [("6", "6")])

    def test_a_name_asked_by_two_devices_goes_to_one(self):
        conf = self.s.site / "est-registrar.conf"
        conf.write_text(conf.read_text().replace('"${CN}-*"', '"shared"'))
        self.start()

        def enroll(which):
            name = self.devices[which]
            return self.post(which, "sen", pki.request(pki.new_key(), "shared"), name)
        with concurrent.futures.ThreadPoolExecutor(REGISTRARS) as pool:
            codes = sorted(code for code, _ in pool.map(enroll, range(REGISTRARS)))
        self.assertEqual(codes[0], 204, codes)
        self.assertTrue(all(code in (403, 503) for code in codes[1:]), codes)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [("1",)])

    def test_a_lost_database_refuses_and_comes_back(self):
        self.start(1)
        process = self.registrars[0][0]
        key = pki.new_key()
        code, first = self.post(0, "sen", pki.request(key, "gw-1"))
        self.assertEqual(code, 204, first)
        self.server.stop()
        try:
            for _ in range(2):
                self.assertEqual(self.post(0, "sen", pki.request(pki.new_key(), "gw-2"), "gw-2"),
                                 (503, "the CA cannot record anything now"))
            with rogue_client.Client(self.registrars[0][1], *self.s.birth("gw-1")) as client:
                self.assertEqual(client.request(coap.GET, f"{EST}/crts")[0], 205)
            self.assertIn(f"ledger in database '{self.database}' at {self.server.dir}: ",
                          process.log())
            self.assertIn("check that its server runs", process.log())
        finally:
            self.server.start()
        harness.wait_for(lambda: self.post(0, "sen", pki.request(key, "gw-1")) == (204, first),
                         "it is connected again")
        self.assertIn("connected again", process.log())
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [("1",)])

    def refused(self, *says):
        conf = self.s.site / "est-registrar.conf"
        for arguments, status in ((["-n"], harness.CONFIG_TEXT), ([], harness.FAILED)):
            done = harness.run(harness.REGISTRAR, "-c", conf, *arguments)
            self.assertEqual(done.status, status, done)
            for text in says:
                self.assertIn(text, done.err)

    def test_what_is_no_ledger_is_refused(self):
        self.start(1)
        self.registrars[0][0].stop()
        self.sql("UPDATE estc_ledger SET version = 99")
        self.refused("written by a newer est-registrar (schema 99", "install the newer one again")
        self.sql("DROP TABLE estc_ledger")
        self.refused("it is a database of another program", "name another one")
        self.s.set_registrar("database", f"host={self.s.dir}/nowhere user=estc password=sesame")
        self.refused("check that its server runs")
        self.s.set_registrar("database", "password=sesame what is this")
        self.refused("database: ")
        done = harness.run(harness.REGISTRAR, "-n", "-c", self.s.site / "est-registrar.conf")
        self.assertNotIn("sesame", done.err)

    def test_an_older_one_is_brought_up_to_date(self):
        self.start(1)
        key = pki.new_key()
        code, first = self.post(0, "sen", pki.request(key, "gw-1"))
        self.assertEqual(code, 204, first)
        self.registrars[0][0].stop()
        self.sql("DROP TABLE requests; ALTER TABLE certificates DROP COLUMN revoked_reason;"
                 "DROP INDEX IF EXISTS certificate_by_revocation;"
                 "UPDATE estc_ledger SET version = 1")
        self.start(REGISTRARS)  # all at once, and one of them does it
        self.assertEqual(self.post(1, "sen", pki.request(key, "gw-1")), (204, first))
        self.assertEqual(self.sql("SELECT version FROM estc_ledger"), [("3",)])


if __name__ == "__main__":
    if not shutil.which("psql", path=str(postgres.PROGRAMS)):
        raise SystemExit("PostgreSQL 15 is not there: see tools/packages.txt")
    harness.main()
