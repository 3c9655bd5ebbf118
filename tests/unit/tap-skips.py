#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tap-skips.py PROGRAM: runs a cmocka program. cmocka 1.1 reports a skipped test as "not ok N # SKIP
NAME", which is a failure in TAP; this makes it "ok N - NAME # SKIP REASON". The reason is what the
test has printed last, "skipped: REASON"."""
import re
import subprocess
import sys

process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True, errors="replace")
reason = "no reason"
for line in process.stdout:
    if match := re.match(r"(?:# )?skipped: (.+)", line):
        reason = match[1]
    if match := re.match(r"not ok (\d+) # SKIP (\S+)", line):
        line = f"ok {match[1]} - {match[2]} # SKIP {reason}\n"
        reason = "no reason"
    print(line, end="", flush=True)
status = process.wait()
sys.exit(status if status >= 0 else 128 - status)
