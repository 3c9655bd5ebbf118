#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `meson install` puts where: the sample configuration lies where the programs look, which the
manuals name, and the units start what is installed, as the users of the sysusers file beside them."""
import pathlib
import re
import tempfile

from tree import BUILD, Tap, read, run

MANUALS = {"estcd": ("estcd.8", "estcd.conf.5"),
           "est-registrar": ("est-registrar.8", "est-registrar.conf.5")}


class Root:
    """A folder that stands for / after an installation."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def at(self, path):
        return self.path / str(path).lstrip("/")

    def named(self, pattern):
        """Paths of all files of that name, as they will be below /."""
        return sorted("/" + str(p.relative_to(self.path)) for p in self.path.rglob(pattern)
                      if p.is_file())

    def text(self, path):
        return self.at(path).read_text(encoding="utf-8") if self.at(path).is_file() else ""


def default_file(root, program):
    """The configuration that a program reads when nobody names another."""
    for path in root.named(program):
        status, text = run(str(root.at(path)), "--help")
        found = re.search(r"--config=FILE.*\(default (/\S+)\)", text)
        if status == 0 and found:
            return found.group(1)
    return f"/no {program} that says what it reads"


def check_configuration(tap, root):
    path = default_file(root, "estcd")
    tap.point(root.text(path) == read("conf/estcd.conf"),
              "the sample configuration lies where estcd looks",
              f"estcd reads {path}; installed: {root.named('estcd.conf')}")
    # init writes the registrar's, into a folder that has to be empty.
    path = default_file(root, "est-registrar")
    tap.point(path.endswith(".conf") and not root.at(path).parent.exists(),
              "nothing lies where est-registrar looks", f"est-registrar reads {path}")
    for program, pages in MANUALS.items():
        path = default_file(root, program)
        if not path.startswith("/etc/"):
            tap.note(f"the manuals do not fit this build: it reads {path}")
            continue
        tap.problems(f"the manuals name what {program} reads",
                     [f"{page} does not name {path}" for page in pages
                      if path not in read(f"man/{page}.scd")])


def check_units(tap, root):
    users = re.findall(r"^u (\S+)", read("systemd/estcd.sysusers"), re.MULTILINE)
    for unit in ("estcd.service", "est-registrar.service"):
        texts = [root.text(path) for path in root.named(unit)]
        tap.point(len(texts) == 1, f"{unit} is installed once", str(root.named(unit)))
        for text in texts:
            commands = re.findall(r"^Exec\w+=(\S+)", text, re.MULTILINE)
            missing = [c for c in commands if not root.at(c).is_file()]
            tap.point(bool(commands) and not missing, f"{unit} starts what is installed",
                      f"{commands}, not installed: {missing}")
            user = re.search(r"^User=(\S+)", text, re.MULTILINE)
            tap.point(user is not None and user.group(1) in users, f"{unit} runs as one of {users}")


def check_completion(tap, root):
    for path in ("bash-completion/completions/estc", "zsh/site-functions/_estc",
                 "fish/vendor_completions.d/estc.fish"):
        there = [p for p in root.named(pathlib.PurePath(path).name) if p.endswith("/" + path)]
        tap.point(len(there) == 1, f"share/{path} is installed")


def check_deployer(tap, root):
    """What runs as root on purpose is started by a path unit alone."""
    text = "".join(root.text(path) for path in root.named("estcd-deploy.service"))
    command = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)
    tap.point(command is not None and root.at(command.group(1)).is_file(),
              "estcd-deploy.service starts what is installed", text)
    tap.point(len(root.named("estcd-deploy.path")) == 1 and "[Install]" not in text,
              "estcd-deploy.path is there to start it")


def check_beside_units(tap, root):
    """systemd reads all of its folders below one prefix, or none."""
    units = root.named("estcd.service")
    base = pathlib.PurePath(units[0]).parents[2] if units else pathlib.PurePath("/nowhere")
    for folder, source in (("sysusers.d", "estcd.sysusers"), ("tmpfiles.d", "estcd.tmpfiles")):
        path = base / folder / "estcd.conf"
        tap.point(root.text(path) == read(f"systemd/{source}"), f"{source} is installed as {path}")


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        status, output = run("meson", "install", "-C", str(BUILD), "--no-rebuild", "--destdir",
                             folder)
        tap.point(status == 0, "meson install", output)
        root = Root(folder)
        check_configuration(tap, root)
        check_units(tap, root)
        check_deployer(tap, root)
        check_completion(tap, root)
        check_beside_units(tap, root)
    tap.finish()


if __name__ == "__main__":
    main()
