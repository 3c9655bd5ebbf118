#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""estc config: what the daemon runs with, in the notation of its file, and where that stands."""
import harness


class Effective(harness.TestCase):
    def setUp(self):
        self.s = self.site()
        self.s.conf.parent.joinpath("conf.d").mkdir()
        self.more = self.s.conf.parent / "conf.d/more.conf"
        self.more.write_text('max_attempts = 2;\n')
        self.configure()
        self.s.start_daemon()

    def configure(self, **settings):
        self.s.write_config(
            [self.s.identity("gw", url="coaps://localhost:9", attempt_timeout="90s",
                             subject_alt_names=["DNS:a.example", "DNS:b.example"], **settings)],
            defaults={"mtu": 576, "renew_at": "70%"})

    def keys(self, *arguments):
        done = self.s.estc("config", *arguments, "--json")
        self.assertEqual(done.status, harness.DONE, done)
        return {key["key"]: key for key in done.json()["keys"]}

    def test_each_value_has_its_source(self):
        keys = self.keys("gw")
        for name, value, source in (("attempt_timeout", '"90s"', "file"), ("mtu", "576", "defaults"),
                                    ("renew_at", '"70%"', "defaults"), ("prove", '"auto"', "built-in"),
                                    ("max_body", '"64K"', "built-in"), ("label", None, "unset"),
                                    ("subject_alt_names", '[ "DNS:a.example", "DNS:b.example" ]',
                                     "file")):
            with self.subTest(key=name):
                self.assertEqual((keys[name].get("value"), keys[name]["source"]), (value, source))
        lines = self.s.conf.read_text().splitlines()
        for name, word in (("attempt_timeout", "attempt_timeout"), ("mtu", "mtu"), ("url", "url")):
            self.assertEqual(keys[name]["file"], str(self.s.conf))
            self.assertIn(word, lines[keys[name]["line"] - 1])
        top = self.keys()
        self.assertEqual((top["max_attempts"]["value"], top["max_attempts"]["file"]),
                         ("2", str(self.more)))
        self.assertEqual(top["defaults.mtu"]["source"], "file")
        self.assertEqual(top["defaults.prove"]["source"], "built-in")
        self.assertNotIn("identities", top)

    def test_what_is_printed_is_a_configuration(self):
        for arguments in (["gw"], []):
            with self.subTest(arguments=arguments):
                done = self.s.estc("config", *arguments)
                self.assertEqual((done.status, done.err), (harness.DONE, ""))
                self.assertRegex(done.out, r"# Not set: (\S+, )*(defaults\.)?label")
                pasted = self.s.dir / "pasted.conf"
                pasted.write_text(done.out)
                checked = harness.run(harness.ESTCD, "-n", "-c", pasted)
                # (the files that an identity names are another matter)
                self.assertNotRegex(checked.err, r"pasted\.conf:\d+", done.out)

    def test_a_change_that_is_not_in_force_is_named(self):
        self.configure(mtu=400, label="factory")
        keys = self.keys("gw")
        self.assertEqual((keys["mtu"]["value"], keys["mtu"]["source"], keys["mtu"]["on_disk"]),
                         ("576", "old", "400"))
        text = self.s.estc("config", "gw").out
        self.assertRegex(text, r"mtu = 576; +# since before a change: the files say 400 by now \(.*:\d+\)")
        self.assertRegex(text, r'# label is not set +# .* the files say "factory"')
        self.assertEqual(self.s.estc("reload").status, harness.DONE)
        self.assertEqual(self.keys("gw")["mtu"]["source"], "file")

    def test_files_that_cannot_be_read(self):
        self.s.conf.write_text("nonsense")
        done = self.s.estc("config", "gw", "--json")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn(f"{self.s.conf}:", done.json()["errors"][0])
        self.assertIn(f"{self.s.conf}:", done.err)
        self.assertEqual({key["source"] for key in done.json()["keys"]}, {"unknown"})

    def test_what_was_requested_stands_in_a_text_of_its_own(self):
        birth = self.s.device("gateway-1")
        done = self.s.estc("request", "gw-x", "--no-wait", "--url", "coaps://localhost:9",
                           "--subject", "CN=x", "--trust", self.s.site / "trust.pem",
                           "--birth-certificate", birth["certificate"], "--birth-key", birth["key"])
        self.assertEqual(done.status, harness.DONE, done)
        keys = self.keys("gw-x")
        self.assertEqual((keys["subject"]["value"], keys["subject"]["file"]),
                         ('"CN=x"', str(self.s.state / "requests/gw-x.conf")))
        self.assertEqual(keys["mtu"]["source"], "defaults")
        self.assertNotIn("install", keys)

    def test_nobody(self):
        self.assertIn("no identity 'nobody'", self.s.estc("config", "nobody").err)


if __name__ == "__main__":
    harness.main()
