# SPDX-License-Identifier: BSD-2-Clause
"""A run of decade.py as a test: one for each program, since a process has one world."""
import contextlib
import io
import unittest

import decade


class Lived(unittest.TestCase):
    def live(self, *arguments):
        """Passes when decade.py does; what it says is shown in any case."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = decade.main(arguments)
        for line in said.getvalue().splitlines():
            print("#", line)
        self.assertEqual(status, 0, said.getvalue())
        self.assertRegex(said.getvalue(), r"certificates issued, of these renewals +[1-9]\d+, [1-9]\d")
