#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Answers that no honest server gives: each is refused with a reason and leaves nothing behind."""
import base64
import datetime

import coap
import harness
import pki
import rogue
from rogue import Answer, honest

DAY = datetime.timedelta(days=1)
STRANGER = pki.Authority("Somebody else's root")


def on(op, function):
    """A server that is honest but for one operation."""
    return lambda asked: function(asked) if asked.op == op else honest(asked)


def certs(*which):
    return Answer(204, pki.certs_only(*which))


def body(payload, **options):
    return lambda asked: Answer(205 if asked.op == "crts" else 204, payload, **options)


def error(code, text):
    return lambda asked: Answer(code, text, content_format=None)


def other_key(asked):
    return certs(asked.authority.issue(pki.new_key().public_key(), subject=asked.csr.subject))


def a_ca(asked):
    return certs(asked.issue(ca=True))


def nested(depth):
    data = b""
    for _ in range(depth):
        data = pki.tlv(0x30, data)
    return data


# label -> (behaviour, exit code, last_result, what the text says)
OK_CASES = {
    "e06_other_subject": on("sen", lambda asked: certs(asked.issue(subject=pki.name("as the CA likes")))),
    "f10_no_format": on("sen", lambda asked: Answer(204, pki.certs_only(asked.issue()), None)),
}
FAILED, REJECTED = harness.FAILED, harness.REJECTED
CASES = {
    "f11_forbidden": (on("sen", error(403, b"device 7 is not on the list")), REJECTED, "rejected",
                  "device 7 is not on the list"),
    "bad_request": (on("sen", error(400, b"")), REJECTED, "rejected", r"4\.00"),
    "c11_no_crts": (on("crts", error(404, b"nothing here")), None, None, r"4\.04.*nothing here"),
    "f11_escapes": (on("sen", error(403, b"\x1b[31mred\x07\nnew line\xff")), REJECTED, "rejected",
                "red"),
    "server_error": (on("sen", error(500, b"on fire")), FAILED, "server", r"5\.00"),
    "f10_wrong_format": (on("sen", lambda a: Answer(204, pki.certs_only(a.issue()), coap.LINK)), FAILED,
                     "protocol", "40"),
    "r01_created": (on("sen", lambda a: Answer(201, pki.certs_only(a.issue()))), FAILED, "protocol",
                   r"2\.01"),
    "garbage": (on("sen", body(b"\x00\xffgarbage" * 20)), FAILED, "malformed", "not PKCS#7"),
    "empty": (on("sen", body(b"")), FAILED, "malformed", "certs-only message: empty"),
    "f09_pem": (on("sen", lambda a: Answer(204, pki.pem(a.issue()))), FAILED, "malformed",
            "not PKCS#7"),
    "f09_base64": (on("sen", lambda a: Answer(204, base64.b64encode(pki.certs_only(a.issue())))),
                   FAILED, "malformed", "not PKCS#7"),
    "truncated": (on("sen", lambda a: Answer(204, pki.certs_only(a.issue())[:-40])), FAILED,
                  "malformed", "not PKCS#7"),
    "trailing": (on("sen", lambda a: Answer(204, pki.certs_only(a.issue()) + b"\0")), FAILED,
                 "malformed", "bytes left over"),
    "z01_deep": (on("sen", body(nested(500))), FAILED, "malformed", "not PKCS#7"),
    "e06_none": (on("sen", lambda a: certs()), FAILED, "protocol", "0 certificates"),
    "e06_two": (on("sen", lambda a: certs(a.issue(), a.authority.cert)), FAILED, "protocol",
            "2 certificates"),
    "e06_other_key": (on("sen", other_key), FAILED, "mismatch", "another public key"),
    "e06_untrusted": (on("sen", lambda a: certs(STRANGER.issue(a.csr.public_key()))), FAILED,
                  "untrusted", "Somebody else's root.*add the CA"),
    "e06_expired": (on("sen", lambda a: certs(a.issue(start=-9 * DAY, life=5 * DAY))), FAILED,
                "untrusted", r"expired \d{4}"),
    "e06_a_ca": (on("sen", a_ca), FAILED, "mismatch", "CA:TRUE"),
    "z01_too_large": (on("sen", body(b"x" * 200000)), FAILED, "too-large", "65536|64|max_body"),
    "c11_crts_garbage": (on("crts", body(b"garbage")), FAILED, "malformed", "/crts.*not PKCS#7"),
    "c11_crts_none": (on("crts", lambda a: Answer(205, pki.certs_only())), FAILED, "protocol",
                  "/crts"),
    "c08_c11_crts_leaf": (on("crts", lambda a: Answer(205, pki.certs_only(
        a.authority.issue(pki.new_key().public_key(), "no CA")))), FAILED, "untrusted", "CA"),
    "silence": (on("sen", lambda a: rogue.SILENCE), harness.UNREACHABLE, "timeout", "localhost"),
    "noise": (on("sen", lambda a: b"\xff\xff\xff"), harness.UNREACHABLE, "timeout", "localhost"),
}


class Answers(harness.ClassSite):
    @classmethod
    def start(cls, site):
        cls.ca, _ = rogue.authority(site)
        behaviours = {label: case[0] for label, case in CASES.items()}
        behaviours.update(OK_CASES)
        behaviours["pending"] = on("sen", lambda a: Answer(503, b"ask an operator", None, 7))
        behaviours["renewal"] = lambda asked: cls.renewal(asked)
        cls.renewal = staticmethod(honest)
        key, cert = cls.ca.leaf("server", ["localhost"])
        cls.server = rogue.Server(cls.ca, key, [cert], behaviours)
        cls.addClassCleanup(cls.server.close)
        site.write_config([
            rogue.identity(site, label, cls.server.port, label=label, subject=f"CN={label}")
            for label in behaviours], max_attempts=16)
        site.start_daemon()

    def test_answers(self):
        for label, (_, status, result, text) in CASES.items():
            with self.subTest(label=label):
                done = self.shared.estc("enroll", label)
                shown = self.shared.show(label)
                self.assertNotEqual(done.status, harness.DONE, done)
                if status is not None:
                    self.assertEqual(done.status, status, (done, shown))
                if result is not None:
                    self.assertEqual(shown["last_result"], result, shown)
                self.assertRegex(shown["last_error"], text)
                self.assertTrue(shown["last_error"].isprintable(), shown["last_error"])
                self.assertFalse(self.shared.current(label).exists())
                if "c11" in label:
                    self.assertNotIn(("sen", label), self.server.requests)
                self.assertIsNone(self.shared.daemon.popen.poll())

    def test_unusual_but_legal(self):
        for label in OK_CASES:
            with self.subTest(label=label):
                done = self.shared.estc("enroll", label)
                self.assertEqual(done.status, harness.DONE, done)
                self.shared.assert_consistent(label)

    def test_d04_pending(self):
        done = self.shared.estc("enroll", "pending")
        self.assertEqual(done.status, harness.WORKING, done)
        shown = self.shared.wait_state("pending", "pending")
        self.assertEqual((shown["next_action"], shown["last_result"]), ("poll", "pending"))

    def test_a_failed_renewal_keeps_the_old_certificate(self):
        self.shared.estc("enroll", "renewal")
        self.shared.wait_state("renewal", "valid")
        before = self.shared.show("renewal")["certificate"]
        folder = self.shared.current("renewal").resolve()
        for label in ("f11_forbidden", "garbage", "e06_two", "e06_other_key", "e06_untrusted", "e06_expired"):
            behaviour = CASES[label][0]
            self.__class__.renewal = staticmethod(
                lambda asked, b=behaviour: b(rogue.Asked("sen", **{
                    k: v for k, v in vars(asked).items() if k != "op"}))
                if asked.op == "sren" else honest(asked))
            with self.subTest(label=label):
                done = self.shared.estc("renew", "renewal", "--force")
                self.assertNotEqual(done.status, harness.DONE, done)
                self.assertEqual(self.shared.show("renewal")["certificate"], before)
                self.assertEqual(self.shared.current("renewal").resolve(), folder)
        self.shared.assert_consistent("renewal")
        self.__class__.renewal = staticmethod(honest)
        self.assertEqual(self.shared.estc("renew", "renewal", "--force").status, harness.DONE)
        self.assertNotEqual(self.shared.show("renewal")["certificate"], before)


if __name__ == "__main__":
    harness.main()
