#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Servers that cannot be reached or are not who they should be."""
import datetime

import harness
import pki
import rogue

DAY = datetime.timedelta(days=1)


class ServerIdentity(harness.ClassSite):
    """One daemon, one identity for each server; each is asked for by `estc enroll`."""

    @classmethod
    def start(cls, site):
        cls.ca, _ = rogue.authority(site)
        cls.intermediate = pki.Authority("Site intermediate", cls.ca)
        cls.stranger = pki.Authority("Somebody else's root")

        names = ("localhost", "127.0.0.1")
        leaf = cls.ca.leaf
        cases = {
            "good": leaf("server", names),
            "wrong-name": leaf("server", ["other.example"]),
            "cn-only": leaf("localhost"),
            "expired": leaf("server", names, start=-9 * DAY, life=5 * DAY),
            "early": leaf("server", names, start=5 * DAY, life=9 * DAY),
            "stranger": cls.stranger.leaf("server", names),
            "not-a-server": leaf("server", names,
                                 usages=[pki.ExtendedKeyUsageOID.CLIENT_AUTH]),
            "rsa": leaf("server", names, kind="rsa2048"),
        }
        cls.servers = {name: rogue.Server(cls.ca, key, [cert])
                       for name, (key, cert) in cases.items()}
        key, cert = cls.intermediate.leaf("server", names)
        cls.servers["chain"] = rogue.Server(cls.ca, key, [cert, cls.intermediate.cert])
        cls.servers["broken-chain"] = rogue.Server(cls.ca, key, [cert])
        cls.servers["plain"] = rogue.PlainServer()
        for server in cls.servers.values():
            cls.addClassCleanup(server.close)

        urls = {name: f"coaps://localhost:{server.port}" for name, server in cls.servers.items()}
        urls["address"] = f"coaps://127.0.0.1:{cls.servers['good'].port}"
        urls["closed"] = f"coaps://localhost:{harness.free_port()}"
        urls["unknown-host"] = "coaps://no-such-host.invalid"
        urls["rsa-allowed"] = urls["rsa"]
        site.write_config([
            rogue.identity(site, name, url=url, allow_rsa_server=name == "rsa-allowed")
            for name, url in urls.items()], max_attempts=16)
        site.start_daemon()

    def enroll(self, name):
        done = self.shared.estc("enroll", name, "--json")
        return done, self.shared.show(name)

    def assert_enrolled(self, name):
        done, _ = self.enroll(name)
        self.assertEqual(done.status, harness.DONE, done)
        shown = self.shared.wait_state(name, "valid")
        self.assertEqual(shown["last_result"], "ok")
        self.assertTrue((self.shared.current(name) / "cert.pem").exists())

    def assert_fails(self, name, status, results, *parts):
        done, shown = self.enroll(name)
        self.assertEqual(done.status, status, done)
        self.assertIn(shown["last_result"], results, shown)
        self.assertEqual(shown["exit_code"], status, shown)
        self.assertIn(shown["state"], ("failing", "working"))
        for part in parts:
            self.assertRegex(shown["last_error"], part)
        self.assertNotIn("certificate", shown)
        self.assertFalse(self.shared.current(name).exists())
        self.assertTrue(shown["next_due"], "it goes on trying")

    def assert_untrusted(self, name, *parts):
        self.assert_fails(name, harness.FAILED, ["untrusted"], *parts)

    def test_good(self):
        self.assert_enrolled("good")

    def test_s04_good_by_address(self):
        self.assert_enrolled("address")

    def test_good_by_a_chain(self):
        self.assert_enrolled("chain")

    def test_rsa_where_allowed(self):
        self.assert_enrolled("rsa-allowed")

    def test_closed_port(self):
        self.assert_fails("closed", harness.UNREACHABLE, ["unreachable", "timeout"], "localhost")

    def test_unknown_host(self):
        self.assert_fails("unknown-host", harness.UNREACHABLE, ["unreachable"],
                          r"no-such-host\.invalid")

    def test_s04_wrong_name(self):
        self.assert_untrusted("wrong-name", "localhost", "subjectAltName|other.example")

    def test_s04_the_common_name_does_not_count(self):
        self.assert_untrusted("cn-only", "localhost")

    def test_s07_expired(self):
        self.assert_untrusted("expired", "expired", r"\d{4}-\d\d-\d\d")

    def test_s07_not_yet_valid_suspects_the_clock(self):
        self.assert_untrusted("early", "not yet valid|not valid before", "clock")

    def test_s01_unknown_ca(self):
        self.assert_untrusted("stranger", "Somebody else's root|trust")

    def test_s01_missing_intermediate(self):
        self.assert_untrusted("broken-chain", "issuer|chain|Site intermediate")

    def test_s01_certificate_for_clients_only(self):
        self.assert_untrusted("not-a-server")

    def test_rsa_where_not_allowed(self):
        done, shown = self.enroll("rsa")
        self.assertNotEqual(done.status, 0, done)
        self.assertNotEqual(shown["last_result"], "ok")
        self.assertIn("RSA", shown["last_error"])

    def test_t01_plain_coap(self):
        self.assert_fails("plain", harness.UNREACHABLE, ["unreachable", "timeout"], "localhost")
        # Nothing but DTLS records has gone there.
        for datagram in self.servers["plain"].datagrams:
            self.assertEqual(datagram[0], 22, "a handshake record")


if __name__ == "__main__":
    harness.main()
