#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What libestc.so exports, what libestc.map lists and what the public headers declare are one."""
import re

from tree import BUILD, Tap, read, run, tracked


def declared():
    names = set()
    for header in tracked("lib/include/estc/*.h"):
        text = re.sub(r"/\*.*?\*/", "", read(header), flags=re.DOTALL)
        text = re.sub(r"^\s*#.*?(?<!\\)$", "", text, flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"typedef[^;]*;", "", text)
        names |= set(re.findall(r"\b(estc_\w+)\s*\(", text))
    return names


def mapped():
    text = re.sub(r"/\*.*?\*/", "", read("lib/libestc.map"), flags=re.DOTALL)
    return set(re.findall(r"\b(estc_\w+);", text))


def exported():
    status, output = run("nm", "-D", "--defined-only", str(BUILD / "lib" / "libestc.so"))
    assert status == 0, output
    symbols = (line.split() for line in output.splitlines())
    return {name.split("@")[0] for _, kind, name in symbols if kind != "A"}


def main():
    tap = Tap()
    headers, version_map, library = declared(), mapped(), exported()
    tap.point(len(headers) > 0, "the headers declare functions")
    tap.problems("the map lists what the headers declare",
                 [f"{n}: declared, not in libestc.map" for n in sorted(headers - version_map)] +
                 [f"{n}: in libestc.map, not declared" for n in sorted(version_map - headers)])
    tap.problems("the library exports what the map lists",
                 [f"{n}: in libestc.map, not exported" for n in sorted(version_map - library)] +
                 [f"{n}: exported, not in libestc.map" for n in sorted(library - version_map)])
    tap.finish()


if __name__ == "__main__":
    main()
