#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A foreign Varlink client reads the description of the control interface, and holds what the
daemon answers against it."""
import sys

import harness
import varlink_client

NAME = "org.estcd.control"


class Description(harness.TestCase):
    """The reader itself has to be one that says no."""

    def test_what_is_no_varlink_is_refused(self):
        for text in ("", "interface a", "interface org.x}", "interface org.x\nmethod A()",
                     "interface org.x\nmethod A() -> (b: foo)", "interface org.x\nmethod a() -> ()",
                     "interface org.x\ntype A (b: ??int)", "interface org.x\ntype A (b: B)",
                     "interface org.x\ntype A (b: int,)", "interface org.x\ntype A (b: int, b: int)",
                     "interface org.x\ntype A ()\nerror A ()", "interface org.x\nfield A ()"):
            with self.subTest(text=text):
                with self.assertRaises(ValueError):
                    varlink_client.Interface(text)

    def test_messages_are_held_against_it(self):
        interface = varlink_client.Interface(
            "interface org.x\ntype T (a: string, b: ?[]int)\nmethod M() -> (t: []T, f: bool)")
        fields = interface.methods["M"][1]
        interface.check(fields, {"t": [{"a": "x"}, {"a": "", "b": [1]}], "f": True})
        for wrong in ({}, {"t": [], "f": 1}, {"t": [{}], "f": True}, {"t": {}, "f": True},
                      {"t": [{"a": "x", "b": None}], "f": True},
                      {"t": [{"a": "x", "b": [True]}], "f": True},
                      {"t": [], "f": True, "more": 1}):
            with self.subTest(wrong=wrong), self.assertRaises(ValueError):
                interface.check(fields, wrong)


class Replies(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw"), site.identity("no-file", trust="/nonexistent.pem")])
        site.start_daemon()
        site.wait_state("gw", "valid")
        site.wait_state("no-file", "config")

    def setUp(self):
        self.client = varlink_client.Client(self.shared.socket, timeout=30 * harness.PATIENCE)
        self.addCleanup(self.client.close)

    def checked(self, method, parameters=None):
        described = self.client.interface(NAME)
        reply = self.client.call(f"{NAME}.{method}", parameters)
        described.check(described.methods[method][1], reply)
        return reply

    def test_both_interfaces_describe_themselves(self):
        info = self.client.info()
        self.assertEqual(sorted(info["interfaces"]), [NAME, "org.varlink.service"])
        for name in info["interfaces"]:
            self.assertEqual(self.client.interface(name).name, name)
        standard = self.client.interface("org.varlink.service")
        standard.check(standard.methods["GetInfo"][1], info)

    def test_every_method_says_what_it_is_for(self):
        described = self.client.interface(NAME)
        self.assertEqual(set(described.methods),
                         {"List", "Show", "Enroll", "Renew", "Retry", "Rekey", "Pause", "Resume",
                          "History", "Status", "NeedsRenewal", "Rollback", "Metrics", "CaCerts",
                          "Reload", "Deployed", "Events", "Request", "Forget", "Bootstrap",
                          "Config", "Check"})
        self.assertTrue(described.doc)
        for name in described.methods:
            self.assertTrue(described.docs[name], name)

    def test_answers_are_as_described(self):
        self.assertEqual([i["id"] for i in self.checked("List")["identities"]], ["gw", "no-file"])
        for name in ("gw", "no-file"):
            self.assertEqual(self.checked("Show", {"id": name})["identity"]["id"], name)
        self.assertIn("BEGIN CERTIFICATE", self.checked("CaCerts", {"id": "gw"})["pem"])
        self.assertEqual(self.checked("Reload")["identities"], 2)
        self.checked("Renew", {"id": "gw"})

    def test_errors_are_as_described(self):
        described = self.client.interface(NAME)
        for method, name, error in (("Show", "nobody", "NoSuchIdentity"),
                                    ("Enroll", "nobody", "NoSuchIdentity"),
                                    ("Renew", "no-file", "NoCertificate"),
                                    ("CaCerts", "no-file", "NoCertificate")):
            with self.subTest(method=method, name=name):
                with self.assertRaises(varlink_client.Error) as caught:
                    self.client.call(f"{NAME}.{method}", {"id": name})
                self.assertEqual(caught.exception.name, f"{NAME}.{error}")
                described.check(described.errors[error], caught.exception.parameters)

    def test_more_is_followed_to_the_end(self):
        described = self.client.interface(NAME)
        with varlink_client.Client(self.shared.socket, timeout=30 * harness.PATIENCE) as watcher:
            watcher.send(f"{NAME}.Events", more=True)
            replies = list(self.client.follow(f"{NAME}.Renew", {"id": "gw", "force": True}))
            seen = []
            while not seen or seen[-1]["event"]["kind"] != "issued":
                seen.append(watcher.receive()["parameters"])
        for reply in replies:
            described.check(described.methods["Renew"][1], reply)
        for reply in seen:
            described.check(described.methods["Events"][1], reply)
        self.assertEqual(replies[-1]["event"]["kind"], "issued")
        self.assertIn("identity", replies[-1])

    def test_the_client_as_a_program(self):
        done = harness.run(sys.executable, varlink_client.__file__, self.shared.socket, "call",
                           f"{NAME}.Show", '{"id":"nobody"}')
        self.assertEqual((done.status, done.out), (1, ""))
        self.assertIn("NoSuchIdentity", done.err)
        done = harness.run(sys.executable, varlink_client.__file__, self.shared.socket, "describe",
                           NAME)
        self.assertEqual(done.status, 0, done)
        self.assertIn(f"interface {NAME}", done.out)


if __name__ == "__main__":
    harness.main()
