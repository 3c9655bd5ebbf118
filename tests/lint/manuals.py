#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The manuals and the programs say the same: options, commands, configuration keys, exit codes;
and every page renders without a warning."""
import os
import re
import subprocess

from tree import BUILD, ROOT, Tap, read, run

PROGRAMS = {
    "estcd.8": BUILD / "src/estcd/estcd",
    "estcd-deploy.8": BUILD / "src/estcd-deploy/estcd-deploy",
    "estc.1": BUILD / "src/estc-cli/estc",
    "est-registrar.8": BUILD / "src/est-registrar/est-registrar",
}
# Page -> the program of tests/lint that prints the table of keys behind the reader.
KEYS = {
    "estcd.conf.5": "print-keys-estcd",
    "est-registrar.conf.5": "print-keys-est-registrar",
}
# Pages about neither a program nor a file.
OTHERS = ["estc-conformance.7"]
OPTION = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")


def source(page):
    return read(f"man/{page}.scd").replace("\\_", "_")


def bold(text):
    return re.findall(r"\*([^*\n]+)\*", text)


def section(page, name):
    """The lines under one heading."""
    match = re.search(rf"^# {name}\n(.*?)(?=^# |\Z)", source(page), re.MULTILINE | re.DOTALL)
    return match.group(1) if match else ""


def both_ways(tap, name, left, right, left_name, right_name):
    tap.problems(name, [f"{x}: in {left_name}, not in {right_name}" for x in sorted(left - right)] +
                 [f"{x}: in {right_name}, not in {left_name}" for x in sorted(right - left)])


def helps(program):
    """(help of the program and of all its commands, names of the commands)"""
    status, text = run(str(program), "--help")
    if status != 0:
        return f"{program} --help failed: {text}", set()
    # A command's line: two spaces, its name, and what it does.
    commands = set(re.findall(r"^  ([a-z][a-z-]*)(?=[ \n])", text, re.MULTILINE))
    for command in commands:
        status, more = run(str(program), command, "--help")
        text += more if status == 0 else f"{command} --help failed: {more}"
    return text, commands


def check_program(tap, page, program):
    text, commands = helps(program)
    tap.problems(f"{page}: every command has its help",
                 [line for line in text.splitlines() if "--help failed" in line])
    options = set(OPTION.findall(text))
    documented = {option for span in bold(source(page)) for option in OPTION.findall(span)}
    both_ways(tap, f"{page}: options", options, documented, "--help", "the manual")
    if commands:
        # A command is described under a definition that begins with its name.
        described = set(re.findall(r"^\*([a-z][a-z-]*)\b", section(page, "COMMANDS"), re.MULTILINE))
        both_ways(tap, f"{page}: commands", commands, described, "--help", "COMMANDS")


def check_keys(tap, page, printer):
    status, output = run(str(BUILD / "tests/lint" / printer))
    keys = {line.split()[0] for line in output.splitlines() if line}
    tap.point(status == 0 and len(keys) > 5, f"{page}: the program has a table of keys", output)
    names = {key.split(".")[-1] for key in keys}
    # A key is described by a line "*KEY* = ..."; several that are alike share one.
    lines = re.findall(r"^(\*[A-Za-z_.*, ]+\*) = ", source(page), re.MULTILINE)
    described = {name.split(".")[-1] for line in lines for name in bold(line)}
    both_ways(tap, f"{page}: keys", names, described, "the table", "the manual")


def check_exit_codes(tap):
    codes = set(re.findall(r"X\(EXIT_\w+, (\d+),", read("src/common/exitcode.h")))
    tap.point(len(codes) > 5, "exit codes are known")
    documented = {}
    for page in PROGRAMS:
        documented[page] = set(re.findall(r"^\*(\d+)\*", section(page, "EXIT STATUS"), re.MULTILINE))
        tap.problems(f"{page}: exit codes are those of the code",
                     [f"{code}: not in exitcode.h" for code in sorted(documented[page] - codes)] +
                     ([] if documented[page] else ["no exit code in EXIT STATUS"]))
    both_ways(tap, "estc.1: all exit codes but the daemons' own", codes - {"78"},
              documented["estc.1"], "exitcode.h", "the manual")
    tap.point("78" in documented["estcd.8"], "estcd.8: exit code 78")


def check_rendering(tap, page):
    environment = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="80", MANROFFSEQ="")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z",
                           str(BUILD / "man" / page)], env=environment, text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    tap.point(done.returncode == 0 and not done.stderr, f"{page} renders without a warning",
              done.stderr)
    tap.problems(f"{page}: sections are there",
                 [f"no {name}" for name in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO")
                  if f"# {name}\n" not in source(page) and not (page[-1] in "57"
                                                                and name == "SYNOPSIS")])


def main():
    tap = Tap()
    for page in [*PROGRAMS, *KEYS, *OTHERS]:
        if not (ROOT / f"man/{page}.scd").exists():
            tap.point(False, f"{page} is written")
        else:
            check_rendering(tap, page)
            if page in PROGRAMS:
                check_program(tap, page, PROGRAMS[page])
            elif page in KEYS:
                check_keys(tap, page, KEYS[page])
    check_exit_codes(tap)
    tap.finish()


if __name__ == "__main__":
    main()
