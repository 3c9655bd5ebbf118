#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What an operator does by hand and by script: a look at everything, a question to decide by, and
the wish to have something done before or otherwise than planned."""
import subprocess

import harness

NOT_NEEDED = 10


class Glance(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([
            site.identity("gw"), site.identity("gw-two"),
            site.identity("no-file", trust="/nonexistent/trust.pem"),
            site.identity("refused", subject="CN=somebody-else")])
        site.start_daemon()
        for name, state in (("gw", "valid"), ("gw-two", "valid"), ("no-file", "config"),
                            ("refused", "failing")):
            site.wait_state(name, state)

    def test_status_says_what_is_wrong_and_what_to_do(self):
        done = self.shared.estc("status")
        self.assertEqual(done.status, harness.BAD_CONFIG, done)
        self.assertRegex(done.out, r"\Aestcd \S+: 4 identities, 2 need attention\.\n")
        self.assertRegex(done.out, r"(?m)^valid +2$")
        self.assertRegex(done.out, r"(?m)^clock +\d{4}-\d\d-\d\d \d\d:\d\dZ$")
        self.assertRegex(done.out, r"(?m)^next +\S+: ")
        self.assertRegex(done.out, r"(?m)^no-file +config: .*/nonexistent/trust\.pem")
        self.assertRegex(done.out, r"(?m)^refused +failing: ")
        self.assertIn("'estc retry refused'", done.out)
        self.assertEqual(done.err, "")

    def test_status_as_json(self):
        done = self.shared.estc("status", "--json")
        self.assertEqual(done.status, harness.BAD_CONFIG, done)
        status = done.json()
        self.assertEqual(status["identities"], 4)
        self.assertEqual({s["state"]: s["count"] for s in status["states"]},
                         {"valid": 2, "config": 1, "failing": 1})
        self.assertEqual([i["id"] for i in status["attention"]], ["no-file", "refused"])
        self.assertEqual(status["attention_count"], 2)
        self.assertIs(status["clock"]["trusted"], True)
        self.assertEqual(status["exit_code"], done.status)

    def test_needs_renewal_is_an_exit_code(self):
        for arguments, status in ((["gw"], NOT_NEEDED), (["gw", "gw-two"], NOT_NEEDED),
                                  (["gw", "refused"], harness.DONE), (["no-file"], harness.DONE),
                                  (["gw", "--within", "1s"], NOT_NEEDED),
                                  (["gw", "--within", "1y"], harness.DONE),
                                  (["gw", "nobody"], harness.FAILED)):
            with self.subTest(arguments=arguments):
                done = self.shared.estc("needs-renewal", *arguments)
                self.assertEqual(done.status, status, done)
        answers = self.shared.estc("needs-renewal", "gw", "refused", "--json").json()
        self.assertEqual([(a["id"], a["needed"]) for a in answers],
                         [("gw", False), ("refused", True)])
        self.assertIn("renewal is due at", answers[0]["why"])

    def test_retry_waits_for_no_back_off_and_renews_nothing_early(self):
        before = self.shared.show("refused")["failures"]
        done = self.shared.estc("retry", "refused")
        self.assertEqual(done.status, harness.REJECTED, done)
        self.assertGreater(self.shared.show("refused")["failures"], before)
        serial = self.shared.show("gw")["certificate"]["serial"]
        done = self.shared.estc("retry", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertIn("not due", done.err)
        self.assertEqual(self.shared.show("gw")["certificate"]["serial"], serial)


class Wishes(harness.TestCase):
    def start(self, *arguments, **settings):
        site = self.site()
        site.init_registrar("--device", "gateway-1", *arguments)
        site.start_registrar()
        site.write_config([site.identity("gw", **settings)])
        site.start_daemon()
        site.wait_state("gw", "valid")
        return site

    def test_rekey_makes_a_key_where_renewals_keep_it(self):
        site = self.start(rekey=False)
        key = (site.current("gw") / "key.pem").read_bytes()
        self.assertEqual(site.estc("renew", "gw", "--force").status, harness.DONE)
        self.assertEqual((site.current("gw") / "key.pem").read_bytes(), key)
        done = site.estc("rekey", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        rekeyed = (site.current("gw") / "key.pem").read_bytes()
        self.assertNotEqual(rekeyed, key)
        site.assert_consistent("gw")
        # It was one wish, not another configuration.
        self.assertEqual(site.estc("renew", "gw", "--force").status, harness.DONE)
        self.assertEqual((site.current("gw") / "key.pem").read_bytes(), rekeyed)
        results = site.estc("history", "gw", "--json").json()
        self.assertEqual([(r["action"], r["result"]) for r in results],
                         [("enroll", "ok")] + [("renew", "ok")] * 3)
        self.assertEqual(results[-1]["serial"], site.show("gw")["certificate"]["serial"])
        table = site.estc("history", "gw").out.splitlines()
        self.assertRegex(table[0], r"^TIME +ACTION +RESULT +WHAT$")
        self.assertEqual(len(table), 5)

    def test_a_pause_outlives_the_daemon_and_ends_when_somebody_says_so(self):
        site = self.start()
        done = site.estc("pause", "gw")
        self.assertEqual(done.status, harness.DONE, done)
        shown = site.show("gw")
        self.assertEqual((shown["state"], shown["exit_code"]), ("paused", 0))
        site.daemon.stop()
        # What would be due at once, if it were not paused.
        site.write_config([site.identity("gw", key_type="p384")])
        site.start_daemon()
        self.assertEqual(site.show("gw")["state"], "paused")
        self.assertRegex(site.estc("list").out, r"(?m)^gw +paused .* paused +ok")
        self.assertIn("paused", site.estc("renew", "gw").err)
        self.assertEqual(site.show("gw")["certificate"]["generation"], 1)
        done = site.estc("resume", "gw", "--json")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertNotIn("paused_since", done.json()[0])
        self.assertIn("gw: it was not paused", site.estc("resume", "gw").err)
        harness.wait_for(lambda: site.show("gw")["certificate"]["generation"] == 2,
                         "what was due to be done")
        done = site.estc("wait", "gw", "--timeout", "20s")
        self.assertEqual(done.status, harness.DONE, done)

    def test_a_pause_and_its_end_are_events(self):
        site = self.start()
        out = site.dir / "events"
        with out.open("w") as file:
            process = subprocess.Popen([harness.ESTC, "--socket", site.socket, "events"],
                                       stdout=file, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))

        def told():  # once it listens
            self.assertIn("gw: paused", site.estc("pause", "gw").err)
            self.assertIn("gw: it is paused already", site.estc("pause", "gw").err)
            self.assertIn("gw: resumed", site.estc("resume", "gw").err)
            lines = [line.split()[1:3] for line in out.read_text().splitlines()]
            return lines[-2:] == [["gw", "paused"], ["gw", "resumed"]]

        harness.wait_for(told, "the two events")

    def test_a_pause_warns_of_the_end_twice(self):
        site = self.start("--lifetime", "6s")
        self.assertEqual(site.estc("pause", "gw").status, harness.DONE)
        for words in ("ends at", "has expired at"):
            harness.wait_for(lambda: f"gw: the certificate {words} " in site.daemon.log(), words)
        self.assertEqual(site.daemon.log().count("nothing renews it while it is paused"), 2)
        self.assertIn("'estc resume gw' does", site.daemon.log())

    def test_wait_ends_with_the_state_or_with_patience(self):
        site = self.start()
        done = site.estc("wait", "gw", "--for", "paused", "--timeout", "1s")
        self.assertEqual(done.status, harness.WORKING, done)
        self.assertIn("gw: still valid", done.err)
        self.assertEqual(site.estc("wait", "nobody").status, harness.FAILED)
        self.assertEqual(site.estc("wait", "gw", "--for", "perfect").status, harness.BAD_USAGE)
        self.assertEqual(site.estc("wait", "gw", "--json").json()[0]["state"], "valid")


if __name__ == "__main__":
    harness.main()
