#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The examples at work: against each other, and each against the real programs."""
import pathlib
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import harness
import pki

CLIENT = harness.BUILD / "examples/example-client"
SERVER = harness.BUILD / "examples/example-server"
LINES_MAX = 100


class Examples(harness.TestCase):
    def factory(self, site):
        """(CA of factories, device's key and certificate as files)."""
        factory = pki.Authority("Factory")
        key, cert = factory.leaf("device-1")
        pki.write_key(site.dir / "birth.key", key)
        pki.write_certs(site.dir / "birth.pem", cert)
        pki.write_certs(site.dir / "factory.pem", factory.cert)

    def serve(self, site):
        """The example's server; its port."""
        self.factory(site)
        ca = pki.Authority("Example CA")
        key, cert = ca.leaf("server", ["localhost"])
        pki.write_certs(site.dir / "ca.pem", ca.cert)
        pki.write_key(site.dir / "ca.key", ca.key)
        pki.write_certs(site.dir / "server.pem", cert)
        pki.write_key(site.dir / "server.key", key)
        port = harness.free_port()
        names = "ca.pem", "ca.key", "server.pem", "server.key", "factory.pem"
        site.start("server", SERVER, port, *(site.dir / name for name in names))
        return port

    def enrol(self, port, birth, key, trust, subject):
        done = harness.run(CLIENT, "localhost", port, birth, key, trust, subject)
        self.assertEqual(done.status, 0, done)
        cert = x509.load_pem_x509_certificate(done.out[done.out.index("-----BEGIN CERT"):].encode())
        new_key = serialization.load_pem_private_key(done.out.encode(), None)
        self.assertEqual(new_key.public_key().public_numbers(), cert.public_key().public_numbers())
        return cert

    def test_they_are_small(self):
        for source in (pathlib.Path(__file__).parents[2] / "examples").glob("*.c"):
            self.assertLess(len(source.read_text().splitlines()), LINES_MAX, source)

    def test_client_and_server(self):
        site = self.site()
        port = self.serve(site)
        cert = self.enrol(port, site.dir / "birth.pem", site.dir / "birth.key", site.dir / "ca.pem",
                          "CN=thing,O=Example")
        self.assertEqual(cert.issuer.rfc4514_string(), "CN=Example CA")
        self.assertEqual(cert.subject.rfc4514_string(), "CN=thing,O=Example")

    def test_client_and_est_registrar(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        folder = site.site / "devices/gateway-1"
        cert = self.enrol(site.port, folder / "cert.pem", folder / "key.pem", site.site / "trust.pem",
                          "CN=gateway-1-example")
        self.assertEqual(cert.subject.rfc4514_string(), "CN=gateway-1-example")

    def test_client_says_what_is_wrong(self):
        site = self.site()
        port = self.serve(site)
        files = site.dir / "birth.pem", site.dir / "birth.key"
        done = harness.run(CLIENT, "localhost", port, *files, site.dir / "factory.pem", "CN=thing")
        self.assertEqual(done.status, 1)
        self.assertIn("trust", done.err)
        done = harness.run(CLIENT, "localhost", port, site.dir / "none", files[1],
                           site.dir / "ca.pem", "CN=thing")
        self.assertIn("none: cannot be read", done.err)

    def test_estcd_and_the_server(self):
        site = self.site()
        port = self.serve(site)
        site.write_config([site.identity(
            "gw", url=f"coaps://localhost:{port}", subject="CN=gw",
            birth={"certificate": str(site.dir / "birth.pem"), "key": str(site.dir / "birth.key")},
            trust=str(site.dir / "ca.pem"))])
        site.start_daemon()
        first = site.wait_state("gw", "valid")["certificate"]["serial"]
        done = site.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertNotEqual(site.show("gw")["certificate"]["serial"], first)

    def test_they_link_the_shared_library(self):
        for program in (CLIENT, SERVER):
            linked = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True,
                                    check=True).stdout
            self.assertIn("libestc.so", linked)


if __name__ == "__main__":
    harness.main()
