#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Keys that never leave a TPM 2.0: a simulated one (swtpm), reached as OpenSSL's provider is told."""
import pathlib
import shutil

from cryptography import x509

import harness
import pki

PROVIDERS = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
BEGIN = "-----BEGIN TSS2 PRIVATE KEY-----"


class Tpm(harness.TestCase):
    def world(self, **settings):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        self.port = harness.free_port()
        self.tpm = self.start_tpm(site)
        self.env = {"TPM2OPENSSL_TCTI": f"swtpm:host=127.0.0.1,port={self.port}"}
        site.write_config([site.identity("gw", key={"origin": "tpm"}, **settings)])
        return site

    def start_tpm(self, site):
        state = site.dir / "tpm"
        state.mkdir(exist_ok=True)
        process = site.start(
            "swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}",
            "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
            "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1",
            "--flags", "not-need-init,startup-clear")
        listens = f":{self.port:04X} 00000000:0000 0A"
        harness.wait_for(lambda: listens in pathlib.Path("/proc/net/tcp").read_text(),
                         "the TPM is there")
        return process

    def openssl(self, *arguments):
        done = harness.run("openssl", *arguments, env=self.env)
        self.assertEqual(done.status, 0, done)
        return done.out

    def pair(self, site):
        """The public key, which has to be the same of key and certificate; and the key's text."""
        current = site.current("gw").resolve()
        text = (current / "key.pem").read_text()
        self.assertTrue(text.startswith(BEGIN), text)
        public = self.openssl("pkey", *PROVIDERS, "-in", current / "key.pem", "-pubout")
        self.assertEqual(public, self.openssl("x509", "-in", current / "cert.pem", "-noout",
                                              "-pubkey"))
        return public, text

    def test_enrolled_and_renewed(self):
        site = self.world()
        site.start_daemon(env=self.env)
        site.wait_state("gw", "valid")
        first = self.pair(site)
        done = site.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn("p256, in the TPM", done.err + done.out)
        second = self.pair(site)
        self.assertNotEqual(first, second, "rotation is a new key in the TPM")
        self.assertEqual(site.estc("check", "gw").status, harness.DONE)
        # And so after a restart of the daemon.
        self.assertEqual(site.daemon.stop(), 0)
        site.start_daemon(env=self.env)
        self.assertEqual(site.estc("renew", "gw", "--force").status, harness.DONE)

    def test_the_birth_key_in_the_tpm(self):
        site = self.world()
        factory = pki.Authority("Factory with TPMs")
        key, request = site.dir / "birth.key", site.dir / "birth.csr"
        self.openssl("genpkey", *PROVIDERS, "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", key)
        self.openssl("req", *PROVIDERS, "-new", "-key", key, "-subj", "/CN=gateway-1", "-out", request)
        csr = x509.load_pem_x509_csr(request.read_bytes())
        pki.write_certs(site.dir / "birth.pem", factory.issue(csr.public_key(), "gateway-1"))
        pki.write_certs(site.site / "factory/ca.pem", factory.cert)
        key.chmod(0o600)
        site.registrar.stop()
        site.start_registrar()
        site.write_config([site.identity("gw", key={"origin": "tpm"}, birth={
            "certificate": str(site.dir / "birth.pem"), "key": str(key)})])
        site.start_daemon(env=self.env)
        site.wait_state("gw", "valid")
        self.pair(site)

    def test_from_a_file_to_the_tpm(self):
        site = self.world()
        site.write_config([site.identity("gw")])
        site.start_daemon(env=self.env)
        site.wait_state("gw", "valid")
        serial = site.show("gw")["certificate"]["serial"]
        site.write_config([site.identity("gw", key={"origin": "tpm"})])
        self.assertEqual(site.estc("reload").status, harness.DONE)
        self.assertTrue(site.wait_serial("gw", serial))
        self.pair(site)

    def test_a_tpm_that_is_gone(self):
        site = self.world()
        site.start_daemon(env=self.env)
        site.wait_state("gw", "valid")
        before = self.pair(site)
        self.tpm.end()
        done = site.estc("renew", "gw", "--force")
        self.assertEqual(done.status, harness.BAD_CONFIG, done)
        error = site.show("gw")["last_error"]
        self.assertIn("the TPM cannot be used", error)
        self.assertIn("/dev/tpmrm0", error)
        self.start_tpm(site)
        self.assertEqual(self.pair(site), before, "nothing is lost")
        self.assertEqual(site.estc("renew", "gw", "--force").status, harness.DONE)

    def test_deployed_by_who_has_the_tpm_too(self):
        site = self.world()
        out = site.dir / "out"
        out.mkdir()
        site.write_config([site.identity("gw", key={"origin": "tpm"}, install=[
            {"file": str(out / name), "content": name} for name in ("fullchain", "key")])])
        site.start_daemon(env=self.env)
        site.wait_state("gw", "valid")
        program = harness.BUILD / "src/estcd-deploy/estcd-deploy"
        folder = {"RUNTIME_DIRECTORY": str(site.dir / "run")}
        self.assertNotEqual(harness.run(program, "-c", site.conf, env=folder).status, 0)
        self.assertIn("the TPM cannot be used", site.show("gw")["deploy"]["last_error"])
        self.assertEqual(list(out.iterdir()), [])
        site.estc("retry", "gw")
        done = harness.run(program, "-c", site.conf, env={**folder, **self.env})
        self.assertEqual(done.status, 0, done)
        self.assertTrue((out / "key").read_text().startswith(BEGIN))

    def test_kinds_of_keys(self):
        site = self.world(key_type="p384")
        site.start_daemon(env=self.env)
        self.assertEqual(site.wait_state("gw", "valid")["key_type"], "p384")
        self.pair(site)
        site.write_config([site.identity("gw", key={"origin": "tpm"}, key_type="rsa2048")])
        done = site.check()
        self.assertEqual(done.status, harness.CONFIG_TEXT, done)
        self.assertIn("a key in the TPM is p256 or p384", done.err)
        for content, text in (({"content": "key", "format": "der"}, "into DER"),
                              ({"content": "pkcs12", "password": str(site.conf)}, "into PKCS#12")):
            site.write_config([site.identity("gw", key={"origin": "tpm"}, install=[
                {"file": str(site.dir / "key"), **content}])])
            done = site.check()
            self.assertEqual(done.status, harness.CONFIG_TEXT, done)
            self.assertIn(f"a key in the TPM cannot be put {text}", done.err)

    def test_the_key_is_of_no_use_without_it(self):
        site = self.world()
        site.start_daemon(env=self.env)
        site.wait_state("gw", "valid")
        key = site.current("gw").resolve() / "key.pem"
        done = harness.run("openssl", "pkey", "-in", key, "-noout")
        self.assertNotEqual(done.status, 0)
        self.tpm.end()
        shutil.rmtree(site.dir / "tpm")
        self.start_tpm(site)   # another one
        done = harness.run("openssl", "pkey", *PROVIDERS, "-in", key, "-noout", env=self.env)
        self.assertNotEqual(done.status, 0)


if __name__ == "__main__":
    harness.main()
