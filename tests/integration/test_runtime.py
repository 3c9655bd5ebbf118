#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Identities that are made and ended at run time: they are kept over restarts and reloads, judged like
those of the configuration, never carry what root would do, and stop nobody when they are broken."""
import os

import harness
import varlink_client

ROOT_KEYS = {"install": '( { file = "/tmp/x"; content = "key"; } )', "reload": '[ "a.service" ]',
             "restart": '[ "a.service" ]', "exec": '( { command = [ "/bin/true" ]; } )'}


class Runtime(harness.TestCase):
    def start(self, *identities, defaults=True, **settings):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.s.start_registrar()
        if defaults:
            settings["defaults"] = {"url": self.s.url, "birth": self.s.device("gateway-1"),
                                    "trust": str(self.s.site / "trust.pem")}
        self.s.write_config([self.s.identity(name) for name in identities] or None, **settings)
        self.s.start_daemon()
        self.requests = self.s.state / "requests"

    def request(self, name, *arguments, status=harness.DONE):
        done = self.s.estc("request", name, "--subject", f"CN=gateway-1-{name}", *arguments)
        self.assertEqual(done.status, status, done)
        return done

    def restart(self):
        self.s.daemon.stop()
        self.s.start_daemon()

    def test_one_is_requested_kept_and_forgotten(self):
        self.start("gw")
        self.s.wait_state("gw", "valid")
        done = self.request("extra", "--san", "DNS:a.example", "--san", "DNS:b.example",
                            "--key-type", "p384", status=harness.REJECTED)
        self.assertIn("DNS:a.example", done.err)  # the registrar's rule, not ours
        self.s.estc("forget", "extra")
        done = self.request("extra", "--key-type", "p384")
        self.assertRegex(done.err, r"extra: certificate [0-9A-F]+, valid until ")
        self.s.assert_consistent("extra")
        shown = self.s.show("extra")
        self.assertEqual((shown["origin"], shown["key_type"]), ("request", "p384"))
        self.assertEqual(shown["defined_in"], str(self.requests / "extra.conf"))
        self.assertEqual(self.s.show("gw")["origin"], "configuration")
        self.assertEqual(self.s.show("gw")["defined_in"].split(":")[0], str(self.s.conf))
        self.assertIn(f"by 'estc request', in {self.requests}/extra.conf",
                      self.s.estc("show", "extra").out)
        self.assertRegex(self.s.estc("list").out, r"(?m)^extra +valid .* request +renew .* ok$")
        serial = shown["certificate"]["serial"]
        for again in (self.restart, lambda: self.s.estc("reload")):
            again()
            self.assertEqual(self.s.show("extra")["certificate"]["serial"], serial)
            self.assertEqual(self.s.show("extra")["origin"], "request")
        done = self.s.estc("forget", "extra")
        self.assertEqual(done.status, harness.DONE, done)
        kept = self.s.state / "forgotten/extra-2"
        self.assertIn(f"extra: forgotten; its keys and certificates are kept in {kept}", done.err)
        self.assertTrue((kept / "current/key.pem").exists())
        self.assertFalse((self.s.state / "identities/extra").exists())
        self.assertEqual(list(self.requests.iterdir()), [])
        self.assertIn("there is no identity 'extra'", self.s.estc("show", "extra").err)
        self.restart()
        self.assertNotIn("extra", self.s.estc("list").out)
        self.request("extra")
        self.assertNotEqual(self.s.show("extra")["certificate"]["serial"], serial)

    def test_purge_leaves_nothing(self):
        self.start()
        self.request("extra")
        done = self.s.estc("forget", "--purge", "extra", "--json")
        self.assertEqual((done.status, done.json()), (harness.DONE, [{"id": "extra"}]))
        left = [path for path in self.s.state.rglob("*extra*")]
        self.assertEqual(left, [])

    def test_everything_can_be_said_and_files_are_found_from_here(self):
        self.start(defaults=False)
        site = self.s.site
        device = self.s.device("gateway-1")
        here = os.getcwd()
        os.chdir(site)
        self.addCleanup(os.chdir, here)
        self.request("extra", "--url", self.s.url, "--trust", "trust.pem", "--birth-certificate",
                     os.path.relpath(device["certificate"], site), "--birth-key", device["key"])
        text = (self.requests / "extra.conf").read_text()
        self.assertIn(f'trust = "{site}/trust.pem";', text)

    def test_what_cannot_be_is_refused_with_its_cause(self):
        self.start("gw", defaults=False)
        for arguments, says in (
                (["--url", "http://x"], "extra: url: "),
                (["--key-type", "rsa1"], 'key_type: "rsa1" is none of p256, p384, rsa2048'),
                (["--san", "a.example"], "extra: subject_alt_names: "),
                (["--san", "DNS:a\nb"], "subject_alt_names: 'DNS:a?b' has a control character"),
                (["--label", "a/b"], "extra: "),
                (["--fingerprint", "12"], "extra: fingerprint: "),
                (["--label", "x" * 300], "label: is longer than 255 bytes"),
                ([], "extra: no server named: add url"),
                ([], "extra: no birth credential"),
                ([], "extra: no trust named")):
            with self.subTest(arguments=arguments):
                done = self.request("extra", *arguments, status=harness.BAD_CONFIG)
                self.assertIn(says, done.err)
                self.assertIn("extra cannot be requested like that; nothing has changed", done.err)
        done = self.request("gw", status=harness.BAD_CONFIG)
        self.assertRegex(done.err, r"gw stands in the configuration, at \S+estcd.conf:\d+: take ano")
        done = self.request("../gw", status=harness.BAD_CONFIG)
        self.assertIn("id: '../gw' cannot name a folder", done.err)
        done = self.s.estc("forget", "gw")
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertRegex(done.err, r"gw stands in the configuration: remove it from \S+:\d+ and rel")
        self.assertFalse(self.requests.exists() and list(self.requests.iterdir()))
        self.assertFalse((self.s.state / "identities/extra").exists())

    def test_quotes_stay_quotes(self):
        self.start()
        name = r'CN=x\"\; exec \= ( { command \= [ \"/bin/true\" ]\; } )\; \#\\'
        done = self.s.estc("request", "extra", "--subject", name, "--no-wait")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(self.s.show("extra")["subject"], name)
        self.restart()
        self.assertEqual(self.s.show("extra")["subject"], name)

    def test_a_bare_client_cannot_say_more(self):
        self.start()
        with varlink_client.Client(self.s.socket) as client:
            for key in [*ROOT_KEYS, "rekey", "state_directory"]:
                with self.assertRaises(varlink_client.Error) as caught:
                    client.call("org.estcd.control.Request", {"id": "extra", key: "x"})
                self.assertEqual((caught.exception.name, caught.exception.parameters["parameter"]),
                                 ("org.varlink.service.InvalidParameter", key))
            with self.assertRaises(varlink_client.Error) as caught:
                client.call("org.estcd.control.Request", {"id": "extra", "trust": "trust.pem"})
            self.assertIn("trust: 'trust.pem' is not an absolute path",
                          caught.exception.parameters["errors"][0])

    def test_files_that_are_broken_or_foreign_stop_nobody(self):
        self.start()
        self.request("extra")
        self.request("other")
        self.s.daemon.stop()
        good = (self.requests / "other.conf").read_text()
        (self.requests / "other.conf").write_text("subject = \"CN=x\"; colour = 1;\n")
        for key, value in ROOT_KEYS.items():
            (self.requests / f"with-{key}.conf").write_text(f"{good}{key} = {value};\n")
        (self.requests / "link.conf").symlink_to("extra.conf")
        (self.requests / "folder.conf").mkdir()
        (self.requests / "a b.conf").write_text(good)
        (self.requests / "stranger").write_text("x")
        (self.requests / "nul.conf").write_bytes(b"\0")
        (self.requests / "big.conf").write_bytes(b"#" * 300000)
        os.mkfifo(self.requests / "fifo.conf")
        self.s.start_daemon()
        names = [row["id"] for row in self.s.estc("list", "--json").json()]
        self.assertEqual(names, ["extra"])
        log = self.s.daemon.log()
        for says in ("other.conf:1: unknown key 'colour'", "link: what was requested is not used",
                     "requests/a b.conf is none of estcd's", "requests/stranger is none of estcd's",
                     "folder: what was requested is not used", "fifo: what was requested is not used",
                     "nul.conf:1: a NUL byte", "big: what was requested is not used",
                     *(f"with-{key}.conf:3: unknown key '{key}'" for key in ROOT_KEYS)):
            self.assertIn(says, log)
        self.assertTrue((self.s.state / "identities/other/current/key.pem").exists())

    def test_the_configuration_wins_at_a_reload(self):
        self.start()
        self.request("extra")
        serial = self.s.show("extra")["certificate"]["serial"]
        self.s.write_config([self.s.identity("extra")])
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        shown = self.s.show("extra")
        self.assertEqual((shown["origin"], shown["certificate"]["serial"]), ("configuration", serial))
        self.assertRegex(self.s.daemon.log(), r"extra: what was requested at run time counts no more, "
                                              r"since \S+estcd.conf:\d+ has an identity of that name")
        self.assertEqual([path.name for path in self.requests.iterdir()], ["extra.replaced"])
        # And what "defaults" said for it may be missing then, which concerns nobody else.
        self.s.write_config([self.s.identity("extra")], defaults={"url": self.s.url})
        (self.requests / "lone.conf").write_text('subject = "CN=lone";\n')
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.assertIn("lone: what was requested is not used: ", self.s.daemon.log())

    def test_defaults_reach_it_at_a_reload(self):
        self.start()
        self.request("extra")
        self.s.conf.write_text(self.s.conf.read_text().replace("defaults", "defaults", 1).replace(
            "defaults = {", 'defaults = { renew_at = "20%";', 1))
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.assertIn("20 %", self.s.show("extra")["next_why"])

    def test_forgetting_ends_an_attempt(self):
        self.start()
        self.s.registrar.send_signal(19)  # STOP: it answers nobody
        done = self.s.estc("request", "extra", "--subject", "CN=gateway-1-extra", "--no-wait")
        self.assertEqual(done.status, harness.DONE, done)
        harness.wait_for(lambda: self.s.daemon.children(), "a worker is at it")
        with varlink_client.Client(self.s.socket) as client:
            client.send("org.estcd.control.Enroll", {"id": "extra"}, more=True)
            done = self.s.estc("forget", "extra")
            self.assertEqual(done.status, harness.DONE, done)
            replies = [client.receive()]
            while replies[-1].get("continues"):
                replies.append(client.receive())
        self.assertEqual(replies[-1]["error"], "org.estcd.control.NoSuchIdentity")
        self.assertEqual(self.s.daemon.children(), [])
        self.s.registrar.send_signal(18)

    def test_what_a_kill_left_undone_is_done_at_the_start(self):
        self.start()
        for name in ("extra", "other"):
            self.request(name)
        self.s.daemon.stop()
        (self.requests / "extra.conf").rename(self.requests / "extra.forget")
        (self.requests / "other.conf").rename(self.requests / "other.purge")
        (self.requests / ".estc-tmp-1").write_text("half")
        self.s.start_daemon()
        self.assertEqual(self.s.estc("list", "--json").json(), [])
        self.assertEqual([path.name for path in self.requests.iterdir()], [])
        self.assertTrue((self.s.state / "forgotten/extra-1/current/key.pem").exists())
        self.assertEqual(list((self.s.state / "identities").iterdir()), [])

    @harness.unittest.skipUnless(os.geteuid() == 0, "needs root, to become others")
    def test_only_who_may_change_may_do_it(self):
        self.start()
        self.s.socket.chmod(0o666)
        for arguments in (["request", "extra", "--subject", "CN=x"], ["forget", "extra"]):
            done = self.s.estc(*arguments, user=harness.nobody())
            self.assertEqual(done.status, harness.NOT_ALLOWED, done)
        self.assertFalse(self.requests.exists())

    def test_a_folder_that_cannot_be_written_changes_nothing(self):
        self.start()
        self.requests.write_text("in the way")
        done = self.s.estc("request", "extra", "--subject", "CN=x")
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertIn("requests", done.err)
        self.assertEqual(self.s.estc("list", "--json").json(), [])


if __name__ == "__main__":
    harness.main()
