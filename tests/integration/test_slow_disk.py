#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A ledger on a disk that is slow, full, or locked by somebody: who is kept waiting, and who is refused."""
import concurrent.futures
import sqlite3
import subprocess
import time

from cryptography.hazmat.primitives.serialization import pkcs7

import coap
import harness
import pki
import rogue_client

EST = "/.well-known/est"
SYNC = 0.2  # seconds that each takes
DEVICES = 8


class SlowDisk(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.names = [f"gw-{i}" for i in range(DEVICES + 1)]
        self.s.init_registrar(*[part for name in self.names for part in ("--device", name)])
        self.s.set_registrar("address_rate", 100000)
        self.s.set_registrar("certificate_rate", 100000)  # /crts is asked for as fast as it answers

    def client(self, name):
        folder = self.s.site / "devices" / name
        client = rogue_client.Client(self.s.port, pki.load_key(folder / "key.pem"),
                                     pki.load_certs(folder / "cert.pem"))
        self.addCleanup(client.close)
        return client

    def enroll(self, client, name):
        """(dotted code, certificate or diagnostic)"""
        code, body, _ = client.request(coap.POST, f"{EST}/sen", pki.request(pki.new_key(), name),
                                       coap.PKCS10)
        if code != 204:
            return code, body.decode()
        cert, = pkcs7.load_der_pkcs7_certificates(body)
        return code, cert

    def sql(self, statement):
        with sqlite3.connect(self.s.site / "ledger.sqlite", timeout=10) as db:
            return db.execute(statement).fetchall()

    def test_a_slow_disk_keeps_nobody_else_waiting(self):
        self.s.start_registrar(env={**harness.preload("slow-sync"),
                                    "SLOW_SYNC_MS": str(int(SYNC * 1000))})
        *many, other = [(name, self.client(name)) for name in self.names]
        asker = other[1]
        with concurrent.futures.ThreadPoolExecutor(DEVICES) as pool:
            begin = time.monotonic()
            jobs = [pool.submit(self.enroll, client, name) for name, client in many]
            times = []
            while not all(job.done() for job in jobs):
                before = time.monotonic()
                self.assertEqual(asker.request(coap.GET, f"{EST}/crts")[0], 205)
                times.append(time.monotonic() - before)
            took = time.monotonic() - begin
        self.assertEqual([job.result()[0] for job in jobs], [204] * DEVICES)
        # It was slow, all of them did not take turns, and /crts was answered meanwhile.
        self.assertGreater(took, SYNC)
        self.assertLess(took, DEVICES * SYNC * harness.PATIENCE, "they were written as groups")
        times.sort()
        self.assertGreater(len(times), 3)
        self.assertLess(times[len(times) * 9 // 10 - 1], 0.05 * harness.PATIENCE, times)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(DEVICES,)])
        self.assertEqual(self.s.registrar.log().count(": issued "), DEVICES)
        self.assertNotIn("sent again", self.s.registrar.log())

    def test_asked_again_while_it_is_written_one_is_issued(self):
        self.s.start_registrar(env={**harness.preload("slow-sync"), "SLOW_SYNC_MS": "500"})
        request = pki.request(pki.new_key(), "gw-0")

        def post(client):
            code, body, _ = client.request(coap.POST, f"{EST}/sen", request, coap.PKCS10)
            return code, body
        clients = [self.client("gw-0") for _ in range(3)]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(post, clients))
        self.assertEqual([code for code, _ in answers], [204] * 3)
        self.assertEqual(len(set(answers)), 1)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(1,)])

    def test_what_is_not_written_is_not_sent(self):
        self.s.start_registrar()
        client = self.client("gw-0")
        with sqlite3.connect(self.s.site / "ledger.sqlite", isolation_level=None) as db:
            db.execute("BEGIN IMMEDIATE")  # somebody holds it for longer than anybody waits
            self.assertEqual(self.enroll(client, "gw-0"),
                             (503, "the CA cannot record anything now"))
            db.execute("ROLLBACK")
        self.assertIn("another program holds it: let it finish", self.s.registrar.log())
        self.assertEqual(self.enroll(client, "gw-0")[0], 204)
        self.assertEqual(self.sql("SELECT count(*) FROM certificates"), [(1,)])

    def test_a_full_disk_refuses_until_there_is_room(self):
        if not harness.private_mounts():
            self.skipTest("needs root")
        small = self.s.site / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        self.s.set_registrar("ledger", "small/ledger.sqlite")
        self.s.start_registrar()
        client = self.client("gw-0")
        self.assertEqual(self.enroll(client, "gw-0")[0], 204)
        filler = small / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        answers = [self.enroll(client, f"gw-0-{i}") for i in range(8)]
        self.assertIn((503, "the CA cannot record anything now"), answers)
        self.assertIn("free", self.s.registrar.log())
        filler.unlink()
        self.assertEqual(self.enroll(client, "gw-0-again")[0], 204)
        with sqlite3.connect(small / "ledger.sqlite") as db:
            serials = {row[0] for row in db.execute("SELECT serial FROM certificates")}
        sent = {f"{cert.serial_number:X}" for code, cert in answers if code == 204}
        self.assertLessEqual(sent, {serial.lstrip("0") for serial in serials})


if __name__ == "__main__":
    harness.main()
