#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""cover.py BUILDDIR: line coverage by folder, and whether those in FLOORS reach theirs."""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = {"lib": 90.0, "src": 85.0, "lib/coap": 90.0, "lib/est": 90.0, "lib/pkix": 90.0, "src/estcd": 85.0}


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    report = subprocess.run(
        ["gcovr", "--root", str(ROOT), "--filter", "lib/", "--filter", "src/",
         "--gcov-ignore-parse-errors", "--exclude-unreachable-branches", "--json-summary",
         "--object-directory", str(build), str(build)],
        check=True, stdout=subprocess.PIPE, cwd=ROOT)
    folders = {}
    for file in json.loads(report.stdout)["files"]:
        path = pathlib.PurePath(file["filename"])
        for folder in {str(path.parent), path.parts[0]}:
            covered, total = folders.get(folder, (0, 0))
            folders[folder] = covered + file["line_covered"], total + file["line_total"]
        if file["line_total"] and file["line_percent"] < 50:
            print(f"low: {path} {file['line_percent']} %")
    short = []
    print(f"{'FOLDER':<24}{'LINES':>8}{'COVERED':>10}{'PERCENT':>10}")
    for folder, (covered, total) in sorted(folders.items()):
        percent = 100.0 * covered / total if total else 100.0
        floor = FLOORS.get(folder)
        note = "" if floor is None else f"   floor {floor:.0f} %"
        print(f"{folder:<24}{total:>8}{covered:>10}{percent:>9.1f}%{note}")
        if floor is not None and percent < floor:
            short.append(f"{folder}/ is covered to {percent:.1f} %, less than {floor:.0f} %")
    for line in short:
        print(line, file=sys.stderr)
    sys.exit(1 if short or not folders else 0)


if __name__ == "__main__":
    main()
