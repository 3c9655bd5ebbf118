# SPDX-License-Identifier: BSD-2-Clause
"""The standard library's unittest, printing TAP."""
import sys
import traceback
import unittest

from tap import Tap


def has_failed(test):
    """For what a test does at its end."""
    return test in _TapResult.failed


class _TapResult(unittest.TestResult):
    failed = set()  # test cases, known before their clean-up runs

    def __init__(self, tap):
        super().__init__()
        self.tap = tap
        self.started = set()

    def startTest(self, test):
        super().startTest(test)
        self.started.add(test)

    @staticmethod
    def name(test):
        return str(test.id()).removeprefix("__main__.")

    def addSuccess(self, test):
        self.tap.point(True, self.name(test))

    def _failed(self, test, err):
        self.failed.add(getattr(test, "test_case", test))
        self.tap.point(False, self.name(test), "".join(traceback.format_exception(*err)))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, err)

    def addSkip(self, test, reason):
        self.tap.skip(self.name(test), reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is None:
            self.tap.point(True, self.name(subtest))
        else:
            self._failed(subtest, err)


def main():
    """Runs the tests of the calling program; arguments pick tests by a part of their name."""
    tap = Tap()
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])

    def flatten(tests):
        for test in tests:
            if isinstance(test, unittest.TestSuite):
                yield from flatten(test)
            else:
                yield test

    wanted = [test for test in flatten(suite)
              if len(sys.argv) < 2 or any(part in test.id() for part in sys.argv[1:])]
    result = _TapResult(tap)
    unittest.TestSuite(wanted).run(result)
    # When a class cannot be set up, its tests have not run, and none of them has passed.
    for test in wanted:
        if test not in result.started:
            tap.point(False, result.name(test), "did not run")
    tap.finish()
