#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""mutants.py [ID...]: whether the tests bite. Each patch of tests/mutants breaks one rule of
tests/rules.txt in the source; a test that quotes the rule has to fail.

Works in a copy of the tree, build-mutants/, that is kept for the next time. For each patch: applies
it, builds what the tests need that quote the rule (nothing more), runs them until a point that quotes
the rule fails, takes the patch back. Exits 1 when a mutant survives, when a patch no longer applies or
does not build, or when a MUST that binds a client or a server has neither a patch nor a reason in
tests/mutants/none.txt.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

import rulebook

ROOT = rulebook.ROOT
WORK = ROOT / "build-mutants"
TREE, BUILD = WORK / "tree", WORK / "build"
PATCHES = ROOT / "tests" / "mutants"
TIMEOUT = 150
PROGRAMS = ("src/estcd/estcd", "src/estc-cli/estc", "src/est-registrar/est-registrar")
FAILED_POINT = re.compile(r"^not ok \d+ - (.*)$", re.M)


def run(*command, **options):
    """(exit status, output and errors as one text)"""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    return done.returncode, done.stdout


def need(*command, **options):
    status, output = run(*command, **options)
    if status != 0:
        sys.exit(f"mutants: {command[0]} failed:\n{output}")
    return output


def copy_tree():
    """Brings the copy up to date; files that have not changed keep their times."""
    names = set(need("git", "-C", ROOT, "ls-files", "--cached", "--others",
                     "--exclude-standard").splitlines())
    for name in names:
        source, target = ROOT / name, TREE / name
        if not source.is_file():
            continue
        if not target.is_file() or source.read_bytes() != target.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    for target in [p for p in TREE.rglob("*") if p.is_file()]:
        if str(target.relative_to(TREE)) not in names:
            target.unlink()


def configure():
    if not (BUILD / "build.ninja").is_file():
        need("meson", "setup", BUILD, TREE, "--buildtype=debug", "-Ddebug=false", "-Dwerror=false")


class Tests:
    """The tests that quote an ID, found in the sources: rules' names begin functions and rows."""

    QUOTES = re.compile(r"(?:\bdef test_|\bstatic void |\")((?:[a-z]\d\d_)+)[a-z0-9]")

    def __init__(self):
        self.programs = {}  # ID -> {(kind, name)}
        for path in (ROOT / "tests/unit").glob("test-*.c"):
            self.scan(path, ("unit", path.stem.removeprefix("test-")))
        for path in (ROOT / "tests/integration").glob("test_*.py"):
            self.scan(path, ("integration", path.stem))

    def scan(self, path, program):
        for match in self.QUOTES.finditer(path.read_text(encoding="utf-8")):
            for word in match[1].strip("_").split("_"):
                self.programs.setdefault(f"{word[0].upper()}-{word[1:]}", set()).add(program)

    def of(self, rule):
        """The quick ones first."""
        return sorted(self.programs.get(rule, ()), key=lambda program: (program[0] != "unit", program))


def target_of(kind, name):
    return [f"tests/unit/test-{name}"] if kind == "unit" else list(PROGRAMS)


def run_test(kind, name):
    """The output of a test program; its point's names are TAP."""
    environment = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "MESON_BUILD_ROOT": str(BUILD),
                   "TESTS_VECTORS": str(TREE / "tests/vectors"),
                   "ESTC": str(BUILD / "src/estc-cli/estc")}
    command = ([BUILD / f"tests/unit/test-{name}"] if kind == "unit" else
               ["/usr/bin/python3", TREE / f"tests/integration/{name}.py"])
    try:
        return run(*command, env=environment, cwd=BUILD, timeout=TIMEOUT)[1]
    except subprocess.TimeoutExpired as expired:
        output = expired.output or b""
        return output.decode(errors="replace") if isinstance(output, bytes) else output


def killer(rule, programs):
    """The first test point quoting the rule that fails, or None."""
    for kind, name in programs:
        for point in FAILED_POINT.findall(run_test(kind, name)):
            if rule in rulebook.quoted(point):
                return f"{name.removeprefix('test_')}: {point}"
    return None


class Patch:
    """tests/mutants/b02-NAME.patch breaks B-02."""

    def __init__(self, path):
        self.path = path
        self.name = path.stem
        self.rule = f"{self.name[0].upper()}-{self.name[1:3]}"

    def apply(self):
        """What it did to each file, to be put back: path -> bytes. None when it does not apply."""
        status, output = run("patch", "-p1", "--dry-run", "-F2", "-i", self.path, cwd=TREE)
        if status != 0:
            print(output, file=sys.stderr)
            return None
        files = re.findall(r"^\+\+\+ b/(\S+)", self.path.read_text(encoding="utf-8"), re.M)
        before = {TREE / name: (TREE / name).read_bytes() for name in files}
        need("patch", "-p1", "-F2", "--no-backup-if-mismatch", "-s", "-i", self.path, cwd=TREE)
        return before

    def judge(self, tests):
        """(killed, what is to be said)"""
        programs = tests.of(self.rule)
        if not programs:
            return False, "no test quotes the rule"
        before = self.apply()
        if before is None:
            return False, "the patch no longer applies"
        try:
            targets = dict.fromkeys(t for kind, name in programs for t in target_of(kind, name))
            status, output = run("ninja", "-C", BUILD, "-j2", *targets)
            if status != 0:
                print(output, file=sys.stderr)
                return False, "does not build"
            found = killer(self.rule, programs)
        finally:
            for path, content in before.items():
                path.write_bytes(content)
        return bool(found), found or "SURVIVED: " + ", ".join(name for _, name in programs)


def without_reason():
    """ID -> why no line of ours could break the rule."""
    reasons = {}
    for line in (PATCHES / "none.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            rule, reason = line.split(" | ", 1)
            reasons[rule.strip()] = reason
    return reasons


def missing(patches):
    """The MUSTs that nothing here breaks."""
    have = {patch.rule for patch in patches} | set(without_reason())
    return [rule.id for rule in rulebook.load().values()
            if rule.needs_test and rule.level.startswith("MUST") and rule.id not in have]


def main():
    parser = argparse.ArgumentParser(description="Whether the tests notice broken rules.")
    parser.add_argument("rules", nargs="*", metavar="ID", help="only these, as B-02 or b02")
    wanted = {word.upper().replace("-", "") for word in parser.parse_args().rules}
    patches = [Patch(path) for path in sorted(PATCHES.glob("*.patch"))]
    chosen = [p for p in patches if not wanted or p.rule.replace("-", "") in wanted]
    copy_tree()
    configure()
    tests, killed = Tests(), 0
    for patch in chosen:
        began = time.monotonic()
        ok, text = patch.judge(tests)
        killed += ok
        print(f"{'killed' if ok else 'ALIVE ':<7} {patch.name:<46} {text}  "
              f"({time.monotonic() - began:.0f} s)", flush=True)
    lacking = [] if wanted else missing(patches)
    if lacking:
        print(f"MUSTs that no patch breaks: {' '.join(lacking)}")
    print(f"{len(chosen)} mutants, {killed} killed")
    sys.exit(0 if killed == len(chosen) and not lacking else 1)


if __name__ == "__main__":
    main()
