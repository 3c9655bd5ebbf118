#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A first enrolment and a renewal by the real programs, ended at every system call that changes
something in the state folder, and with every such call failing. After each one the daemon is started
again and has to get to a valid certificate; what was in force is a matching pair at every moment,
and no key is gone whose certificate the registrar has issued.

Prints "N points, N consistent" and ends with 1 if these differ. What only reads leaves the disk as
the change before it did, so it is no point of its own. What a power cut would leave, which unlike a
kill loses what was not synced, is a model's to say (powerloss.py), once more for each kind of fsync
and rename left out: the model has to notice."""
import argparse
import concurrent.futures
import errno
import hashlib
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
import powerloss  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402

TRACER = harness.BUILD / "tests/crash/tracer"
KILLED = 99
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)
STORIES = ("enroll", "renew")


class Inconsistent(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Inconsistent(what)


def public_bytes(key):
    return key.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


def public_of_key(path):
    """The public half of a private key's file, or None: none, or not whole."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError):
        return None
    return public_bytes(key.public_key())


class World:
    """One registrar for all points; each has a daemon, a name and a state folder of its own."""

    def __init__(self):
        self.site = harness.Site()
        self.site.init_registrar("--device", "gateway-1")
        self.site.start_registrar()

    def close(self):
        self.site.close()

    def issued(self, subject):
        """Certificates that were issued for a name."""
        with sqlite3.connect(f"file:{self.site.ledger()}?mode=ro", uri=True, timeout=30) as db:
            rows = db.execute("SELECT der FROM certificates WHERE subject = ?",
                              (f"CN={subject}",)).fetchall()
        return [x509.load_der_x509_certificate(der) for der, in rows]


class Point:
    """One run of a story, disturbed once."""

    def __init__(self, world, story, mode, number, error):
        self.world, self.story, self.mode = world, story, mode
        self.number, self.error = number, error
        self.site = harness.Site()
        self.site.site, self.site.port = world.site.site, world.site.port
        self.subject = f"gateway-1-{story}-{mode}-{number}-{error}"
        self.site.write_config([self.site.identity("gw", subject=f"CN={self.subject}")])
        self.folder = self.site.state / "identities/gw"
        self.log = self.site.dir / "calls"

    def __str__(self):
        name = f" {errno.errorcode[self.error]}" if self.mode == "fail" else ""
        return f"{self.story}: {self.mode} {self.number}{name}"

    # --- what has to hold -----------------------------------------------------------------------

    def check_pair(self):
        """What is in force is whole, and belongs together."""
        current = self.site.current("gw")
        if not current.is_symlink():
            require(self.story == "enroll", "the certificate that was in force is gone")
            return
        folder = current.resolve()
        key = public_of_key(folder / "key.pem")
        cert = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        require(key == public_bytes(cert.public_key()), "key and certificate do not match")
        combined = (folder / "key.pem").read_bytes() + (folder / "fullchain.pem").read_bytes()
        require((folder / "combined.pem").read_bytes() == combined, "combined.pem differs")
        digest = hashlib.sha256(cert.public_bytes(serialization.Encoding.DER)).hexdigest()
        require(digest in (folder / "facts.json").read_text().lower(), "facts.json differs")

    def check_keys(self):
        """The key of each certificate that the registrar has issued is on the disk."""
        files = [self.folder / "pending/key.pem", *self.folder.glob("generations/[0-9]*/key.pem")]
        held = {public_of_key(path) for path in files}
        for cert in self.world.issued(self.subject):
            require(public_bytes(cert.public_key()) in held,
                    f"the key of certificate {cert.serial_number:X} is lost")

    def check_tidy(self):
        litter = [str(path.relative_to(self.site.state)) for path in self.site.state.rglob("*")
                  if path.name.startswith((".estc-tmp-", ".unfinished")) or ".foreign-" in path.name]
        require(not litter, f"left behind: {litter}")
        require(not (self.folder / "pending").exists(), "a request is left")
        require(not (self.folder / "candidate").is_symlink(), "a candidate is left")

    # --- the story ------------------------------------------------------------------------------

    def prepare(self):
        """A renewal begins with a certificate in force."""
        if self.story == "renew":
            self.site.start_daemon()
            self.site.wait_state("gw", "valid")
            self.stop()

    def stop(self):
        status = self.site.daemon.stop(timeout=30)
        require(status == 0, f"estcd ended with {status}")

    def start_traced(self, *wrapper):
        number = "-" if self.number is None else self.number
        self.traced = self.site.start(
            "estcd-traced", *(wrapper or (TRACER, self.site.state, self.log, self.mode, number,
                                          self.error or "-")),
            harness.ESTCD, "-c", self.site.conf)
        self.site.daemon = self.traced

    def over(self):
        return self.traced.popen.poll() is not None

    def act(self):
        """Until what is to happen has happened: the end, or the end of an attempt."""
        harness.wait_for(lambda: self.over() or self.traced.notified("READY=1"), "it starts", 60)
        if self.story == "renew" and not self.over():
            self.site.estc("renew", "gw", "--force")
        elif not self.over():
            harness.wait_for(lambda: self.over() or self.settled(), "the attempt has ended", 60)
        if not self.over():
            for child in self.traced.children():  # what traces may not pass it on
                os.kill(child, signal.SIGTERM)
        self.traced.wait_exit(60)

    def settled(self):
        done = self.site.estc("show", "gw", "--json")
        return done.out and done.json()["state"] not in ("new", "working")

    def recover(self):
        """Started again, undisturbed: a valid certificate, and nothing left over."""
        self.site.start_daemon()
        done = self.site.estc("enroll", "gw")
        require(done.status == harness.DONE, f"no way on: {done}")
        if self.story == "enroll" and self.mode == "kill":
            require(len(self.world.issued(self.subject)) == 1, "asked for more than once")
        before = self.site.show("gw")["certificate"]["serial"]
        done = self.site.estc("renew", "gw", "--force")
        require(done.status == harness.DONE, f"no renewal: {done}")
        require(self.site.show("gw")["certificate"]["serial"] != before, "nothing was renewed")
        self.check_pair()
        self.check_tidy()
        self.stop()

    def run(self):
        """None, or what was not as it should be."""
        try:
            self.prepare()
            self.start_traced()
            self.act()
            ended = self.traced.popen.returncode
            require(len(self.calls()) >= self.number and (self.mode != "kill" or ended == KILLED),
                    f"it was not disturbed: {len(self.calls())} calls, and it ended with {ended}")
            self.check_pair()
            self.check_keys()
            self.recover()
            return None
        except (Inconsistent, AssertionError, OSError, ValueError, KeyError,
                subprocess.TimeoutExpired) as problem:
            return f"{self}: {problem}\n  at {self.last_call()}\n{self.site.logs()}"
        finally:
            self.site.close()

    def calls(self):
        """Numbered ones; what lies between them is powerloss.py's."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if not line.startswith("0 ")]

    def last_call(self):
        lines = self.calls()
        return lines[-1] if lines else "no call"


# --- how many points there are --------------------------------------------------------------------

def count(world, story):
    """The calls of an undisturbed run, and what powerloss.audit() has to say of them."""
    point = Point(world, story, "count", None, 0)
    before = point.site.dir / "before"
    try:
        point.prepare()
        if point.site.state.exists():
            shutil.copytree(point.site.state, before, symlinks=True)
        point.start_traced()
        point.act()
        point.check_pair()
        return point.calls(), powerloss.audit(point.log.read_text().splitlines(), before,
                                              point.site.state, story == "renew")
    finally:
        point.site.close()


STRACED = ("openat", "mkdirat", "renameat2", "renameat", "rename", "symlinkat", "unlinkat", "fchmod",
           "write", "fsync", "fdatasync", "ftruncate", "fallocate", "fchmodat", "fchownat", "mkdir",
           "unlink", "rmdir", "symlink", "linkat", "pwrite64", "writev", "utimensat")
STRACE_LINE = re.compile(
    r'^(?:\d+ +)?(\w+)\((?:"[^"]*", )?(?:(\w+)(?:<([^>]*)>)?(?:, )?)?(?:"([^"]*)")?(.*)$')


def strace_count(world, story):
    """The same by strace, name by name: what the tracer would have missed."""
    point = Point(world, story, "strace", None, 0)
    out = point.site.dir / "strace"
    try:
        point.prepare()
        point.start_traced("strace", "-f", "-y", "-s", "4096", "-o", out, "-e",
                           "trace=" + ",".join(STRACED))
        point.act()
        names = []
        for line in out.read_text(errors="replace").splitlines():
            found = STRACE_LINE.match(line)
            if not found or "<... " in line:
                continue
            name, _, folder, path, rest = found.groups()
            where = str(pathlib.Path(folder or "/", path or ""))
            state = str(point.site.state)
            if where != state and not where.startswith(state + "/"):
                continue
            if name == "openat" and not re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", rest):
                continue
            names.append(name)
        return names
    finally:
        point.site.close()


def points_of(calls, every):
    """(mode, number of the call, error) for one call in so many."""
    for number in range(every, len(calls) + 1, every):
        yield "kill", number, 0
        for error in ERRORS if every == 1 else (ERRORS[number % len(ERRORS)],):
            yield "fail", number, error


def differences(world, story, calls):
    """What strace has seen and we have not, or the other way round."""
    if not shutil.which("strace"):
        return [f"{story}: there is no strace to count again"]
    seen = strace_count(world, story)
    print(f"{story}: strace counts {len(seen)}", flush=True)
    same = sorted(seen) == sorted(line.split()[1] for line in calls)
    return [] if same else [f"{story}: strace has seen other calls"]


def tell(world, story, every, jobs):
    """(number of points, what was wrong, {kind of sync or rename: needed}) of a whole story."""
    calls, (cut, needed) = count(world, story)
    print(f"{story}: {len(calls)} calls change the state folder", flush=True)
    print(f"{story}: power cut: {cut or 'nothing is lost'}", flush=True)
    problems = ([f"{story}: {cut}"] if cut else []) + differences(world, story, calls)
    points = list(points_of(calls, every))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for problem in pool.map(lambda point: Point(world, story, *point).run(), points):
            if problem:
                problems.append(problem)
                print(problem, flush=True)
    return len(points), problems, needed


def superfluous(needed):
    """Kinds of fsync and rename that can be left out of every story that has them."""
    kinds = sorted({kind for story in needed for kind in story})
    idle = [kind for kind in kinds if not any(story.get(kind) for story in needed)]
    print(f"{len(kinds)} kinds of fsync and rename, {len(kinds) - len(idle)} of them missed")
    return [f"nobody would miss {' '.join(kind)}" for kind in idle]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--every", type=int, default=1, metavar="N",
                        help="take only one call in N, with one error each")
    parser.add_argument("--story", choices=STORIES, action="append")
    parser.add_argument("--jobs", type=int, default=3, help="points at the same time (3)")
    chosen = parser.parse_args(arguments)
    world = World()
    total, problems, needed = 0, [], []
    try:
        for story in chosen.story or STORIES:
            n, wrong, kinds = tell(world, story, chosen.every, chosen.jobs)
            total += n
            problems += wrong
            needed.append(kinds)
    finally:
        world.close()
    if not chosen.story:
        problems += superfluous(needed)
    for problem in problems:
        print(problem.splitlines()[0])
    print(f"{total} points, {total - len(problems)} consistent")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
