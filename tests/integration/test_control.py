#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The control socket: foreign clients that behave, clients that do not, and who may do what."""
import json
import os
import pathlib
import socket
import subprocess
import time

import harness

MOUNTS = harness.private_mounts()
needs_mounts = harness.unittest.skipUnless(MOUNTS, "needs root and mount namespaces")
NAME = "org.estcd.control"


class Varlink:
    """A few lines of Varlink in Python: no code of the project."""

    def __init__(self, path, timeout=15):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout * harness.PATIENCE)
        self.socket.connect(str(path))
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def call(self, method, parameters=None, more=False):
        message = {"method": method}
        if parameters is not None:
            message["parameters"] = parameters
        if more:
            message["more"] = True
        self.send(json.dumps(message).encode() + b"\0")

    def reply(self):
        while b"\0" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("closed")
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def ask(self, method, parameters=None):
        self.call(method, parameters)
        return self.reply()

    def closed(self):
        """True when the daemon has closed the connection."""
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()


class Control(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw"), site.identity("gw-2")])
        site.start_daemon()
        site.wait_state("gw", "valid")
        site.wait_state("gw-2", "valid")

    def connect(self, **options):
        client = Varlink(self.shared.socket, **options)
        self.addCleanup(client.close)
        return client

    def assert_alive(self):
        reply = self.connect().ask(f"{NAME}.List")
        self.assertEqual([i["id"] for i in reply["parameters"]["identities"]], ["gw", "gw-2"])

    # --- who behaves ----------------------------------------------------------------------------

    def test_get_info(self):
        info = self.connect().ask("org.varlink.service.GetInfo")["parameters"]
        self.assertEqual(sorted(info["interfaces"]), sorted([NAME, "org.varlink.service"]))
        for key in ("vendor", "product", "version", "url"):
            self.assertIsInstance(info[key], str)

    def test_interface_description(self):
        reply = self.connect().ask("org.varlink.service.GetInterfaceDescription",
                                   {"interface": NAME})
        text = reply["parameters"]["description"]
        self.assertIn(f"interface {NAME}", text)
        for part in ("method List", "method Show", "method Enroll", "method Renew",
                     "method CaCerts", "method Reload", "method Events", "error NoSuchIdentity",
                     "error NoCertificate", "error ConfigInvalid", "error NotAllowed",
                     "type Identity", "type Certificate", "type Event"):
            self.assertIn(part, text)

    def test_unknown_interface(self):
        reply = self.connect().ask("org.varlink.service.GetInterfaceDescription",
                                   {"interface": "org.example"})
        self.assertEqual(reply["error"], "org.varlink.service.InterfaceNotFound")

    def test_replies_hold_what_the_description_says(self):
        identity = self.connect().ask(f"{NAME}.Show", {"id": "gw"})["parameters"]["identity"]
        for key, kind in {"id": str, "state": str, "urls": list, "subject": str, "sans": list,
                          "key_type": str, "directory": str, "certificate": dict,
                          "next_action": str, "next_due": str, "next_why": str,
                          "last_result": str, "failures": int, "exit_code": int}.items():
            self.assertIsInstance(identity[key], kind, key)
        self.assertTrue(pathlib.Path(identity["directory"]).samefile(self.shared.current("gw")))
        self.assertRegex(identity["next_due"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_no_such_identity(self):
        reply = self.connect().ask(f"{NAME}.Show", {"id": "nobody"})
        self.assertEqual((reply["error"], reply["parameters"]),
                         (f"{NAME}.NoSuchIdentity", {"id": "nobody"}))

    def test_more_follows_an_enrolment_step_by_step(self):
        client = self.connect()
        client.call(f"{NAME}.Renew", {"id": "gw", "force": True}, more=True)
        replies = [client.reply()]
        while replies[-1].get("continues"):
            replies.append(client.reply())
        events = [reply["parameters"]["event"] for reply in replies]
        self.assertEqual(events[-1]["kind"], "issued")
        self.assertEqual([e["step"] for e in events if e["kind"] == "step"],
                         ["open", "credentials", "connect", "cacerts", "attributes", "key", "csr",
                          "enroll", "check", "prove", "commit"])
        self.assertEqual(replies[-1]["parameters"]["identity"]["state"], "valid")

    def test_without_more_the_reply_comes_at_once(self):
        client = self.connect()
        reply = client.ask(f"{NAME}.Renew", {"id": "gw", "force": True})
        self.assertEqual(reply["parameters"]["event"]["kind"], "started")
        self.assertNotIn("continues", reply)
        self.shared.wait_state("gw", "valid")

    def test_two_who_ask_share_one_attempt(self):
        first, second = self.connect(), self.connect()
        first.call(f"{NAME}.Renew", {"id": "gw-2", "force": True}, more=True)
        self.assertEqual(first.reply()["parameters"]["event"]["kind"], "started")
        second.call(f"{NAME}.Renew", {"id": "gw-2", "force": True}, more=True)
        last = []
        for client in (first, second):
            reply = client.reply()
            while reply.get("continues"):
                reply = client.reply()
            last.append(reply["parameters"]["identity"]["certificate"]["serial"])
        self.assertEqual(last[0], last[1])

    def test_events_need_more(self):
        reply = self.connect().ask(f"{NAME}.Events")
        self.assertEqual(reply["error"], "org.varlink.service.ExpectedMore")

    def test_events_are_followed_by_two(self):
        followers = [self.connect(), self.connect()]
        for follower in followers:
            follower.call(f"{NAME}.Events", more=True)
        time.sleep(0.2)
        self.connect().ask(f"{NAME}.Renew", {"id": "gw", "force": True})
        for follower in followers:
            kinds = []
            while not kinds or kinds[-1] != "issued":
                reply = follower.reply()
                self.assertTrue(reply["continues"])
                kinds.append(reply["parameters"]["event"]["kind"])
            self.assertEqual(kinds[0], "started")
            self.assertEqual(kinds.count("step"), 11)

    def test_several_calls_in_one_write(self):
        client = self.connect()
        client.send(b'{"method":"org.varlink.service.GetInfo"}\0' * 3)
        for _ in range(3):
            self.assertIn("product", client.reply()["parameters"])

    def test_a_message_byte_by_byte(self):
        client = self.connect()
        for byte in b'{"method":"org.varlink.service.GetInfo"}\0':
            client.send(bytes([byte]))
        self.assertIn("product", client.reply()["parameters"])

    def test_oneway(self):
        client = self.connect()
        client.send(b'{"method":"org.varlink.service.GetInfo","oneway":true}\0')
        self.assertIn("identities", client.ask(f"{NAME}.List")["parameters"])

    # --- who does not ---------------------------------------------------------------------------

    def test_not_json(self):
        for data in (b"hello\0", b"\0", b"{\0", b"[]\0", b'"x"\0', b"\xff\xfe\0", b"{}\0",
                     b'{"method":7}\0', b'{"method":"x","parameters":[]}\0',
                     b"[" * 60000 + b"\0"):
            with self.subTest(data=data[:20]):
                client = self.connect(timeout=5)
                client.send(data)
                try:
                    self.assertIn("error", client.reply())
                except ConnectionResetError:
                    pass
                self.assert_alive()

    def test_unknown_method(self):
        for method in (f"{NAME}.Explode", f"{NAME}.", f"{NAME}.list", "Explode", "", "a" * 10000):
            with self.subTest(method=method[:30]):
                error = self.connect().ask(method)["error"]
                self.assertIn(error.rsplit(".", 1)[1],
                              ("MethodNotFound", "InterfaceNotFound", "InvalidParameter"))

    def test_wrong_types(self):
        for parameters in ({"id": 7}, {"id": None}, {"id": ["gw"]}, {}, {"id": "gw", "force": "yes"},
                           {"id": "gw", "force": 1}, {"id": "gw", "colour": "red"}):
            with self.subTest(parameters=parameters):
                reply = self.connect().ask(f"{NAME}.Enroll", parameters)
                self.assertEqual(reply["error"], "org.varlink.service.InvalidParameter")
                self.assertIn(reply["parameters"]["parameter"], ("id", "force", "colour"))

    def test_half_a_message(self):
        client = self.connect()
        client.send(b'{"method":"org.varl')
        self.assert_alive()
        client.close()
        self.assert_alive()

    def test_ten_megabytes(self):
        client = self.connect()
        try:
            client.send(b'{"method":"' + b"x" * 10_000_000 + b'"}\0')
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.assertTrue(client.closed())
        self.assert_alive()
        self.assertLess(self.resident(), 64 * 1024 if not harness.SANITIZED else 1 << 30)

    def resident(self):
        text = pathlib.Path(f"/proc/{self.shared.daemon.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])

    def test_a_follower_that_never_reads(self):
        deaf = self.connect()
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.call(f"{NAME}.Events", more=True)
        asker = self.connect()
        for _ in range(4):
            asker.ask(f"{NAME}.Renew", {"id": "gw", "force": True})
            self.shared.wait_state("gw", "valid")
        self.assert_alive()

    def test_questions_without_reading_the_answers(self):
        deaf = self.connect(timeout=3)
        message = json.dumps({"method": f"{NAME}.List"}).encode() + b"\0"
        try:
            for _ in range(20000):
                deaf.send(message)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
        self.assert_alive()
        self.assertLess(self.resident(), 64 * 1024 if not harness.SANITIZED else 1 << 30)

    def test_many_connections(self):
        clients = []
        try:
            for _ in range(300):
                clients.append(Varlink(self.shared.socket, timeout=5))
        except OSError:
            pass
        for client in clients:
            client.close()
        harness.wait_for(lambda: self.alive_once(), "the daemon answers again")

    def alive_once(self):
        try:
            self.assert_alive()
            return True
        except (OSError, AssertionError):
            return False


class Rights(harness.TestCase):
    """Who may look and who may act; /etc/group is one of our own, in our own mount namespace."""

    GROUPS = {"estc": 61001, "estc-admin": 61002}
    READER, ADMIN, STRANGER, PRIMARY = (61101, [61001]), (61102, [61001, 61002]), (61103, []), (
        61104, [61001])

    def setUp(self):
        if not MOUNTS:
            self.skipTest("needs root and mount namespaces")
        self.s = self.site()
        group = self.s.dir / "group"
        lines = pathlib.Path("/etc/group").read_text().splitlines()
        lines = [line for line in lines if line.split(":")[0] not in self.GROUPS]
        group.write_text("\n".join(lines + [f"{n}:x:{g}:" for n, g in self.GROUPS.items()]) + "\n")
        subprocess.run(["mount", "--bind", str(group), "/etc/group"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/etc/group"], check=True)
        self.s.init_registrar("--device", "gateway-1")
        self.s.start_registrar()
        self.s.write_config([self.s.identity("gw")])
        self.s.start_daemon()
        self.s.wait_state("gw", "valid")

    def as_user(self, who, *arguments, primary=65534):
        uid, groups = who
        return self.s.estc(*arguments, user=(uid, primary), groups=groups)

    def test_the_socket_belongs_to_the_group(self):
        found = os.stat(self.s.socket)
        self.assertEqual((found.st_gid, found.st_mode & 0o777), (61001, 0o660))

    def test_a_reader_reads(self):
        for arguments in (["list"], ["show", "gw"], ["cacerts", "gw"]):
            with self.subTest(arguments=arguments):
                done = self.as_user(self.READER, *arguments)
                self.assertEqual(done.status, harness.DONE, done)

    def test_a_reader_changes_nothing(self):
        before = self.s.show("gw")["certificate"]
        for arguments in (["renew", "gw", "--force"], ["enroll", "gw"], ["reload"]):
            with self.subTest(arguments=arguments):
                done = self.as_user(self.READER, *arguments)
                self.assertEqual(done.status, harness.NOT_ALLOWED, done)
                self.assertIn("estc-admin", done.err)
                self.assertIn("sudo", done.err)
        self.assertEqual(self.s.show("gw")["certificate"], before)

    def test_a_supplementary_group_is_enough(self):
        before = self.s.show("gw")["certificate"]
        done = self.as_user(self.ADMIN, "renew", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertNotEqual(self.s.show("gw")["certificate"], before)

    def test_a_primary_group_is_enough(self):
        done = self.as_user(self.PRIMARY, "renew", "gw", "--force", primary=61002)
        self.assertEqual(done.status, harness.DONE, done)

    def test_a_stranger_is_told_which_group(self):
        for arguments in (["list"], ["renew", "gw"]):
            with self.subTest(arguments=arguments):
                done = self.as_user(self.STRANGER, *arguments)
                self.assertEqual(done.status, harness.NOT_ALLOWED, done)
                self.assertIn("estc", done.err)
                self.assertIn(str(self.s.socket), done.err)
                self.assertEqual(done.out, "")


class Workers(harness.TestCase):
    """What a worker, stopped in the middle, has in its hands."""

    def test_descriptors_and_surroundings(self):
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw")])
        site.start_daemon(env={**harness.preload("stall-at-step"), "ESTC_TEST_STEP": "connect"})
        harness.wait_for(lambda: "worker stands still" in site.daemon.log(), "a worker at work")
        worker, = site.daemon.children()
        inodes = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{worker}/fd").iterdir()}
        control = [line.split()[6] for line in pathlib.Path("/proc/net/unix").read_text().splitlines()
                   if line.endswith(str(site.socket))]
        self.assertTrue(control)
        for inode in control:
            self.assertNotIn(f"socket:[{inode}]", inodes, "the control socket")
        status = dict(line.split(":\t", 1) for line in
                      pathlib.Path(f"/proc/{worker}/status").read_text().splitlines() if ":\t" in line)
        self.assertEqual(status["NoNewPrivs"].strip(), "1")
        self.assertEqual(status["SigBlk"].strip(), "0" * 16)
        if not harness.SANITIZED:
            self.assertEqual(status["Seccomp"].strip(), "2")


if __name__ == "__main__":
    harness.main()
