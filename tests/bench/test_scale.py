#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What ./dev scale measures, at a size that takes seconds: how memory and processor time grow from
some identities to four times as many, and that nothing is armed that would wake a quiet daemon.
Processor time is compared with itself, so that a slow machine is no reason to fail."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
import scale  # noqa: E402
from population import Population, name_of  # noqa: E402

FEW, MANY = 250, 1000
STEEP = 2 * MANY / FEW  # in proportion would be half of it, n squared twice it
MINUTE = 60


def times(daemon):
    """Seconds of the daemon by what it did; the least of some."""
    def least(*arguments, times=5):
        return min(daemon.cost(*arguments)[0] for _ in range(times))
    return {"start": daemon.ready_cpu, "list": least("list"), "metrics": least("metrics"),
            "reload": least("reload"), "status": least("status")}


class Scale(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="estc-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.daemons, cls.resident = {}, {}
        for count in (1, FEW, MANY):
            folder = pathlib.Path(cls.folder.name) / str(count)
            folder.mkdir()
            cls.daemons[count] = scale.Daemon(Population(folder, count).make())
            cls.addClassCleanup(cls.daemons[count].process.end)
            cls.resident[count] = cls.daemons[count].memory()

    def test_all_are_valid(self):
        entries = self.daemons[MANY].estc("list", "--json").json()
        self.assertEqual([entry["id"] for entry in entries], [name_of(n) for n in range(MANY)])
        self.assertEqual({entry["state"] for entry in entries}, {"valid"})
        self.assertEqual({entry["next_action"] for entry in entries}, {"renew"})
        self.assertIn(f"{MANY} identities, none needs attention.",
                      self.daemons[MANY].estc("list").out)

    @unittest.skipIf(harness.INSTRUMENTED, "instrumented programs have memory of their own")
    def test_memory(self):
        one = self.resident[1]["Rss"]
        self.assertLess(one, scale.FIRST_KB)
        own = {count: memory["Anonymous"] for count, memory in self.resident.items()}
        further = (own[MANY] - own[FEW]) * 1024 / (MANY - FEW)
        self.assertLess(further, scale.FURTHER_B)
        print(f"# {one} kB with one, {further:.0f} bytes for each further")

    @unittest.skipIf(harness.INSTRUMENTED, "instrumented programs have memory of their own")
    def test_memory_after_answers_and_reloads(self):
        daemon = self.daemons[MANY]
        for _ in range(5):
            for command in ("list", "status", "metrics", "reload"):
                daemon.estc(command)
        before = daemon.memory()["Rss"]
        for _ in range(10):
            daemon.estc("list")
            daemon.estc("reload")
        self.assertLess(daemon.memory()["Rss"] - before, 500)

    def test_nothing_grows_faster_than_they_do(self):
        few, many = times(self.daemons[FEW]), times(self.daemons[MANY])
        for what in few:
            with self.subTest(what=what):
                self.assertLess(many[what], few[what] * STEEP)

    def test_nothing_is_due_in_a_quiet_minute(self):
        daemon = self.daemons[1]

        def armed():
            """Seconds until each timer of the daemon that is armed ends."""
            found = []
            for info in pathlib.Path(f"/proc/{daemon.process.pid}/fdinfo").iterdir():
                line = [s for s in info.read_text().splitlines() if s.startswith("it_value: ")]
                if line:
                    found.append(int(line[0].split("(")[1].split(",")[0]))
            return found

        self.assertGreater(len(armed()), 0, "no timer is found at all")
        harness.wait_for(lambda: all(t == 0 or t > MINUTE for t in armed()),
                         f"no timer ends within a minute: {armed()}")


if __name__ == "__main__":
    harness.main()
