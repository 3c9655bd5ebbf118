#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""estc check: each check finds what it is for, says what to do about it, and changes nothing; in a
network of its own, without a route to anywhere."""
import ctypes
import datetime
import re

import harness
import pki
from test_path import NarrowProxy

CLONE_NEWNET = 0x40000000


def own_network():
    """True when this process now has a network of its own, which ends with it."""
    return harness.IS_ROOT and ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0


@harness.unittest.skipUnless(own_network(), "needs root")
class Check(harness.TestCase):
    def setUp(self):
        harness.run("ip", "link", "set", "lo", "up")
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.s.start_registrar()

    def start(self, **settings):
        self.s.write_config([self.s.identity("gw", **settings)])
        self.s.start_daemon()

    def start_valid(self, **settings):
        self.start(**settings)
        self.s.wait_state("gw", "valid")

    def start_failing(self, **settings):
        """Nothing is under way when this returns, for long enough."""
        self.start(attempt_timeout="10s", **settings)
        harness.wait_for(lambda: self.s.show("gw")["failures"] > 0, "the first failure", 30)

    def check(self, *arguments, status=harness.DONE):
        done = self.s.estc("check", "gw", "--json", *arguments, timeout=60)
        self.assertEqual(done.status, status, done)
        (answer,) = done.json()
        self.assertEqual(answer["id"], "gw")
        return {f["check"]: f for f in answer["findings"]}

    def assert_finding(self, finding, result, text, remedy=None):
        self.assertEqual(finding["result"], result, finding)
        self.assertRegex(finding["text"], text)
        if remedy:
            self.assertRegex(finding["remedy"], remedy)

    def tree(self):
        folder = self.s.state / "identities/gw"
        return {p: (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in folder.rglob("*")}

    def test_all_is_well_and_stays_as_it_is(self):
        self.start_valid()
        before, shown = self.tree(), self.s.show("gw")
        found = self.check()
        self.assertEqual(list(found), ["configuration", "clock", "deployment", "files", "usage",
                                       "dates", "name", "route", "mtu", "handshake", "chain"])
        self.assertEqual({f["result"] for f in found.values()}, {"ok"}, found)
        self.assertIn("127.0.0.1", found["name"]["text"])
        self.assertIn("lo", found["route"]["text"])
        self.assertRegex(found["handshake"]["text"], "DTLSv1.2, ECDHE-ECDSA-.*CN=localhost")
        self.assertEqual((self.tree(), self.s.show("gw")), (before, shown))
        done = self.s.estc("check")
        self.assertRegex(done.out, r"\Agw\n  configuration  ok +\S")
        self.assertRegex(done.out, r"\n1 identity: 11 checks ok, 0 warnings, 0 failed\.\n\Z")
        self.assertNotIn("handshake", self.s.estc("check", "--no-network").out)

    def test_a_configuration_that_is_not_in_force(self):
        self.start_valid()
        self.s.write_config([self.s.identity("gw", mtu=999)])
        self.assert_finding(self.check("--no-network")["configuration"], "warning", "mtu",
                            "estc reload")
        self.s.conf.write_text("nonsense")
        found = self.check("--no-network", status=harness.BAD_CONFIG)
        self.assert_finding(found["configuration"], "failed", "estcd.conf:", "restart would fail")

    def test_files(self):
        self.start_failing(trust="/nonexistent/trust.pem")
        found = self.check("--no-network", status=harness.BAD_CONFIG)
        self.assert_finding(found["files"], "failed", "/nonexistent/trust.pem", "mend the file")

    def test_a_deployment_without_its_folder(self):
        self.start_valid(install=[{"file": "/nonexistent/x.pem", "content": "cert"}])
        found = self.check("--no-network", status=harness.FAILED)
        self.assert_finding(found["deployment"], "failed", "/nonexistent/x.pem", "make it")

    def test_a_name_that_nobody_knows(self):
        self.start_failing(url="coaps://nowhere.invalid")
        found = self.check(status=harness.UNREACHABLE)
        self.assert_finding(found["name"], "failed", "nowhere.invalid.*check the name")
        self.assert_finding(found["handshake"], "skipped", "no way")

    def test_no_route(self):
        self.start_failing(url="coaps://192.0.2.1")
        found = self.check(status=harness.UNREACHABLE)
        self.assert_finding(found["route"], "failed", "no way there", "ip route")
        self.assertEqual(found["name"]["result"], "ok")

    def test_nobody_answers(self):
        self.start_failing(url=f"coaps://localhost:{harness.free_port()}")
        found = self.check(status=harness.UNREACHABLE)
        self.assert_finding(found["mtu"], "failed", "nothing listens there", "server runs")
        self.assertEqual(found["route"]["result"], "ok")

    def test_a_way_that_is_too_narrow(self):
        proxy = NarrowProxy(self.s.port, 548)
        self.addCleanup(proxy.close)
        self.start_valid(url=f"coaps://localhost:{proxy.port}", mtu=576)
        self.s.write_config([self.s.identity("gw", url=f"coaps://localhost:{proxy.port}")])
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.s.wait_state("gw", "valid")
        found = self.check(status=harness.UNREACHABLE)
        self.assert_finding(found["mtu"], "failed", r"1280 .*do not get there.*576 do",
                            "set mtu = 576")

    def test_a_link_that_is_too_narrow(self):
        self.start_valid()
        harness.run("ip", "link", "set", "lo", "mtu", "1200")
        self.addCleanup(harness.run, "ip", "link", "set", "lo", "mtu", "65536")
        self.assert_finding(self.check(status=harness.UNREACHABLE)["mtu"], "failed",
                            "1280.*own link.*1024 do", "set mtu = 1024")

    def test_a_server_that_nobody_vouches_for(self):
        other = pki.Authority("Somebody else")
        path = self.s.dir / "other.pem"
        path.write_bytes(pki.pem(other.cert))
        self.start_failing(trust=str(path))
        found = self.check(status=harness.FAILED)
        self.assert_finding(found["handshake"], "failed", "server")
        self.assertEqual(found["mtu"]["result"], "ok")

    def birth(self, **options):
        """A birth certificate of another CA, so that it may be as it likes."""
        maker = pki.Authority("Maker")
        key, cert = maker.leaf("gateway-1", **options)
        pki.write_certs(self.s.dir / "birth.pem", cert)
        pki.write_key(self.s.dir / "birth.key", key)
        return {"certificate": str(self.s.dir / "birth.pem"), "key": str(self.s.dir / "birth.key")}

    def test_a_birth_certificate_that_has_expired(self):
        day = datetime.timedelta(days=1)
        self.start_failing(birth=self.birth(start=-10 * day, life=5 * day))
        found = self.check("--no-network", status=harness.FAILED)
        self.assert_finding(found["dates"], "failed", "birth certificate expired at", "clock")

    def test_a_profile_that_breaks_the_next_renewal(self):
        conf = self.s.site / "est-registrar.conf"
        text, n = re.subn(r'(name = "devices";)', r'\1 extended_key_usage = [ "serverAuth" ];',
                          conf.read_text())
        self.assertEqual(n, 1, text)
        conf.write_text(text)
        self.s.registrar.stop()
        self.s.start_registrar()
        self.start()
        harness.wait_for(lambda: "certificate" in self.s.show("gw"), "a certificate")
        why = "its extendedKeyUsage has no clientAuth"
        self.assertEqual(self.s.daemon.log().count(f"cannot authenticate its renewal: {why}"), 1)
        self.assertIn(f"Unfit       {why}", self.s.estc("show", "gw").out)
        found = self.check("--no-network")
        self.assert_finding(found["usage"], "warning", why, "profile with clientAuth")

    def test_each_of_several_servers(self):
        silent = f"coaps://localhost:{harness.free_port()}"
        self.start_valid(url=[silent, self.s.url])
        done = self.s.estc("check", "gw", timeout=60)
        self.assertEqual(done.status, harness.UNREACHABLE, done)
        self.assertIn(f"failed   {silent}: nothing listens there", done.out)
        self.assertRegex(done.out, f"handshake +ok +{self.s.url}: DTLSv1.2")

    def test_while_an_attempt_is_under_way(self):
        proxy = NarrowProxy(self.s.port, 0)
        self.addCleanup(proxy.close)
        self.start(url=f"coaps://localhost:{proxy.port}")
        self.s.wait_state("gw", "working")
        done = self.s.estc("check", "gw")
        self.assertEqual(done.status, harness.WORKING, done)
        self.assertIn("an attempt is under way", done.err)


if __name__ == "__main__":
    harness.main()
