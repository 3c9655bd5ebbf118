#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The sanitizer run bites: a leak planted in a worker ends in a report. Only in a sanitizer build;
the report goes to a folder of the test's own, so that this one does not fail the run."""
import pathlib
import shutil
import tempfile

import harness


class Bites(harness.TestCase):
    def test_a_leak_in_a_worker_is_reported(self):
        site = self.site()
        # In the build folder: a worker's cage lets it write nowhere else but to its own identity.
        reports = pathlib.Path(tempfile.mkdtemp(prefix="planted-", dir=harness.BUILD))
        self.addCleanup(shutil.rmtree, reports)
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        site.write_config([site.identity("gw")])
        site.start_daemon(env={**harness.preload("leak"),
                               "ASAN_OPTIONS": f"log_path={reports}/asan:detect_leaks=1:exitcode=0"})
        for early in list(reports.iterdir()):   # of those that read the configuration
            early.unlink()
        site.estc("enroll", "gw", "--force")
        found = harness.wait_for(lambda: list(reports.iterdir()), "a report of the worker")
        text = harness.wait_for(lambda: "SUMMARY" in found[0].read_text() and found[0].read_text(),
                                "the report is complete")
        self.assertIn("LeakSanitizer: detected memory leaks", text)
        self.assertIn("4321 byte(s)", text)
        self.assertNotEqual(found[0].suffix, f".{site.daemon.pid}", "it is the worker's")


if __name__ == "__main__":
    harness.main()
