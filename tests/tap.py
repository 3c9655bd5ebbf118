# SPDX-License-Identifier: BSD-2-Clause
"""Test Anything Protocol, for the tests that are written in Python."""
import sys


class Tap:
    """Points are numbered as they come; the plan is printed last. finish() exits."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}")

    def point(self, ok, name, detail=""):
        self.count += 1
        self.failed += not ok
        # "#" would begin a directive.
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name.replace('#', '/')}")
        if not ok and detail:
            print(f"{name}:\n{detail}", file=sys.stderr)
        sys.stdout.flush()

    def skip(self, name, reason):
        self.count += 1
        print(f"ok {self.count} - {name.replace('#', '/')} # SKIP {reason}", flush=True)

    def problems(self, name, found):
        """Passes when the list of problems is empty."""
        self.point(not found, name, "\n".join(found))

    def finish(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)
