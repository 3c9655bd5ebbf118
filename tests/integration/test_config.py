#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Errors in the text of estcd.conf: exit 78, all of them at once, each with thing, cause, remedy."""
import harness


class ConfigText(harness.TestCase):
    def setUp(self):
        self.s = self.site()

    def identity(self, name="gw-a", **settings):
        entry = {"id": name, "url": "coaps://localhost", "trust": "/nonexistent/trust.pem",
                 "birth": {"certificate": "/nonexistent/cert.pem", "key": "/nonexistent/key.pem"},
                 "subject": "CN=a"}
        entry.update(settings)
        return {key: value for key, value in entry.items() if value is not None}

    def assert_refused(self, *parts):
        """At start and by -n: exit 78, the same text on stderr, with all these parts."""
        checked = self.s.check()
        self.assertEqual(checked.status, harness.CONFIG_TEXT, checked)
        self.assertEqual(checked.out, "")
        started = harness.run(harness.ESTCD, "-c", self.s.conf, timeout=20)
        self.assertEqual(started.status, harness.CONFIG_TEXT, started)
        for part in parts:
            self.assertIn(part, checked.err)
            self.assertIn(part, started.err)
        self.assertFalse(self.s.state.exists(), "a wrong configuration touches nothing")

    def test_missing_file(self):
        self.s.conf = self.s.dir / "nowhere.conf"
        self.assert_refused(str(self.s.conf), "no such file")

    def test_unreadable_file(self):
        self.s.conf.mkdir()
        self.assert_refused(str(self.s.conf))

    def test_syntax_error_names_the_line(self):
        self.s.conf.write_text('state_directory = "/x";\n\nidentities = ( { id = "a" \n;;\n')
        self.assert_refused(f"{self.s.conf}:4")

    def test_unknown_key_names_the_nearest(self):
        self.s.write_config([self.identity(renew_att="66%")])
        self.assert_refused(f"{self.s.conf}:", "renew_att", "renew_at")

    def test_unknown_key_at_the_top(self):
        self.s.write_config([self.identity()], state_dirctory="/x")
        self.assert_refused("state_dirctory", "state_directory")

    def test_number_beyond_its_range(self):
        self.s.write_config([self.identity()], max_attempts=100000)
        self.assert_refused("max_attempts", "from 1 to 64")

    def test_number_beyond_32_bits(self):
        self.s.write_config([self.identity()])
        self.s.conf.write_text("max_attempts = 4294967297;\n" + self.s.conf.read_text())
        self.assert_refused("estcd.conf:1", "2147483647")

    def test_wrong_type(self):
        self.s.write_config([self.identity(subject=7)])
        self.assert_refused("subject", "string")

    def test_duplicate_identity(self):
        self.s.write_config([self.identity("twice"), self.identity("twice")])
        self.assert_refused("twice", "identities")

    def test_names_that_are_no_file_names(self):
        for name in ("..", ".", "a/b", "/etc", "", "x" * 300, ".hidden", "-n", "a b", "a\nb"):
            with self.subTest(name=name[:10]):
                self.s.write_config([self.identity(name)])
                self.assert_refused("id:", "use 1 to 64 ASCII letters")

    def test_no_trust_named(self):
        self.s.write_config([self.identity(trust=None)])
        self.assert_refused("gw-a", "trust")

    def test_urls_that_are_not_coaps(self):
        for url in ("https://localhost", "coap://localhost", "localhost", "coaps://",
                    "coaps://localhost:70000", "coaps://u@localhost", "coaps://h/a?b", ""):
            with self.subTest(url=url):
                self.s.write_config([self.identity(url=url)])
                self.assert_refused("url", "coaps")

    def test_fraction_out_of_range(self):
        for fraction in ("0%", "100%", "150%", "-5%", "96%"):
            with self.subTest(fraction=fraction):
                self.s.write_config([self.identity(renew_at=fraction)])
                self.assert_refused("renew_at", "95")

    def test_subject_and_names(self):
        for settings in ({"subject": "no name"}, {"subject_alt_names": ["gateway.example"]},
                         {"subject_alt_names": ["IP:300.1.1.1"]}, {"key_type": "p255"}):
            key, = settings
            with self.subTest(**settings):
                self.s.write_config([self.identity(**settings)])
                self.assert_refused(key)

    def test_no_identity_is_fine(self):
        self.s.write_config(None)
        self.assertEqual(self.s.check().status, 0)

    def test_all_errors_in_one_run(self):
        self.s.write_config([self.identity("one", url="http://x"),
                             self.identity("two", trust=None),
                             self.identity("..")], max_attempts=0, colour="red")
        checked = self.s.check()
        self.assertEqual(checked.status, harness.CONFIG_TEXT, checked)
        for part in ("http://x", "two", "..", "max_attempts", "colour"):
            self.assertIn(part, checked.err)
        # Every line that speaks of the file names file and line.
        lines = [line for line in checked.err.splitlines() if str(self.s.conf) in line]
        self.assertGreaterEqual(len(lines), 5)
        for line in lines:
            self.assertRegex(line, r"estcd\.conf:\d+: ")

    def test_conf_d_is_read_in_order_of_names(self):
        self.s.write_config([self.identity("main")])
        folder = self.s.dir / "conf.d"
        folder.mkdir()
        (folder / "20-b.conf").write_text(
            harness.libconfig_file({"identities": [self.identity("extra", url="https://bad")]}))
        (folder / ".hidden.conf").write_text("syntax error (\n")
        (folder / "notes.txt").write_text("syntax error (\n")
        self.assert_refused(f"{folder}/20-b.conf:", "https://bad")

    def test_check_reports_files_too(self):
        self.s.write_config([self.identity()])
        checked = self.s.check()
        self.assertEqual(checked.status, harness.CONFIG_TEXT, checked)
        self.assertIn("gw-a", checked.err)
        self.assertIn("/nonexistent/", checked.err)

    def test_hostile_bytes(self):
        self.s.conf.write_bytes(b"\x00\xff\x1b[31m" * 100)
        checked = self.s.check()
        self.assertEqual(checked.status, harness.CONFIG_TEXT, checked)
        self.assertNotIn("\x1b", checked.err)

    def test_command_line(self):
        for arguments in (["--no-such-option"], ["extra"], ["-c"]):
            with self.subTest(arguments=arguments):
                done = harness.run(harness.ESTCD, *arguments)
                self.assertEqual(done.status, harness.BAD_USAGE, done)
                self.assertEqual(done.out, "")
                self.assertIn("estcd", done.err)


if __name__ == "__main__":
    harness.main()
