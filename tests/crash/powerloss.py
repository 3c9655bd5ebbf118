# SPDX-License-Identifier: BSD-2-Clause
"""What a power cut may leave of the state folder: a model of a file system that keeps nothing which
was not synced, run over the calls that crash.py's tracer has seen.

A file's bytes are there after its fsync; a name (made, renamed or removed) is there after the fsync
of its folder, and before that it may or may not be, whatever happens to other names. The two names of
one rename come together, as journals have it. After each call the images that a cut could leave are
looked at: all of what is open lost, all of it kept, and each single change the other way round.
"""
import dataclasses
import os
import re

CERTIFICATE = ("key.pem", "cert.pem", "chain.pem", "fullchain.pem", "cacerts.pem", "combined.pem",
               "facts.json")
ANCHORS = ("anchors.pem", "helpers.pem", "trust.json")
GENERATION = re.compile(r"generations/(\d+)$")


@dataclasses.dataclass(eq=False)
class Node:
    """A folder, a file or a link; `now` and `kept` map names to nodes."""
    kind: str
    target: str = ""
    now: dict = dataclasses.field(default_factory=dict)
    kept: dict = dataclasses.field(default_factory=dict)
    renamed: list = dataclasses.field(default_factory=list)  # sets of names that come together
    written: int = 0
    synced: int = 0

    def whole(self):
        return self.written == self.synced

    def couple(self, *names):
        joined = set(names).union(*(group for group in self.renamed if group & set(names)))
        self.renamed = [group for group in self.renamed if not group & joined] + [joined]

    def open_changes(self):
        names = {name for name in {**self.now, **self.kept}
                 if self.now.get(name) is not self.kept.get(name)}
        groups = [group & names for group in self.renamed if group & names]
        return groups + [{name} for name in names.difference(*groups)]


def read_tree(path):
    """What is on a disk, all of it synced long ago."""
    if path.is_symlink():
        return Node("link", os.readlink(path))
    if not path.is_dir():
        return Node("file")
    node = Node("folder")
    node.now = {entry.name: read_tree(entry) for entry in path.iterdir()}
    node.kept = dict(node.now)
    return node


class Image:
    """One state after a cut: `flipped` is the one (folder, names) that is not as all others."""

    def __init__(self, root, keep, flipped=None):
        self.root, self.keep, self.flipped = root, keep, flipped

    def names(self, folder):
        chosen = dict(folder.now if self.keep else folder.kept)
        for name in self.flipped[1] if self.flipped and self.flipped[0] is folder else ():
            other = (folder.kept if self.keep else folder.now).get(name)
            chosen.pop(name, None)
            if other:
                chosen[name] = other
        return chosen

    def find(self, path, start=None):
        node = start or self.root
        for part in path.split("/"):
            node = self.names(node).get(part) if node and node.kind == "folder" else None
        return node

    def has(self, folder, files):
        names = self.names(folder) if folder else {}
        return all(name in names and names[name].whole() for name in files)

    def behind(self, folder, link):
        """The generation that a link in a folder points at: (number, folder), or None."""
        node = self.find(link, folder)
        found = node and node.kind == "link" and GENERATION.match(node.target)
        return (int(found[1]), self.find(node.target, folder)) if found else None


# What apply() knows; fchmod() changes nothing that is looked at here.
MODELLED = ("mkdirat", "openat", "symlinkat", "renameat", "renameat2", "unlinkat", "write", "fsync",
            "fchmod")


class Disk:
    """The folder `state`, as it was in its copy `before`."""

    def __init__(self, before, state):
        self.state = str(state)
        self.root = read_tree(before) if before.is_dir() else Node("folder")

    def parent(self, path):
        node = self.root
        *parts, name = os.path.relpath(path, self.state).split("/")
        for part in parts:
            node = node.now.get(part) if node else None
        return node, name

    def apply(self, name, path, other):
        if name not in MODELLED:
            raise ValueError(f"there is no model of {name}: {path}")
        folder, leaf = self.parent(path)
        if folder is None:
            return
        node = self.root if leaf == "." else folder.now.get(leaf)
        if name == "mkdirat" and not node and leaf != ".":
            folder.now[leaf] = Node("folder")
        elif name == "openat" and not node:
            folder.now[leaf] = Node("file")
        elif name == "symlinkat":
            folder.now[leaf] = Node("link", other)
        elif name in ("renameat", "renameat2") and node:
            del folder.now[leaf]
            folder.now[other] = node
            folder.couple(leaf, other)
        elif name == "unlinkat" and node:
            del folder.now[leaf]
        elif name == "write" and node:
            node.written += 1
        elif name == "fsync" and node:
            node.synced = node.written
            node.kept = dict(node.now)
            node.renamed = []

    def folders(self):
        """All that are named, now or after a cut."""
        todo, seen = [self.root], []
        while todo:
            node = todo.pop()
            if node.kind == "folder" and node not in seen:
                seen.append(node)
                todo += [*node.now.values(), *node.kept.values()]
        return seen

    def images(self):
        for keep in (False, True):
            yield Image(self.root, keep)
            for folder in self.folders():
                for names in folder.open_changes():
                    yield Image(self.root, keep, (folder, names))


class Auditor:
    """Looks at every image for what must be in it. `sent`: the number of the call after which a
    request may have left; `records`: what has to be in the folder itself at the end."""

    def __init__(self, before, state, renewal, sent, records):
        self.disk = Disk(before, state)
        self.renewal, self.sent, self.records = renewal, sent, records
        generations = self.gw(Image(self.disk.root, True), "generations")
        self.before = max([int(name) for name in (generations.now if generations else ())
                           if name.isdigit()] or [0])

    @staticmethod
    def gw(image, path=""):
        return image.find("identities/gw" + ("/" + path if path else ""))

    def wrong(self, image, number):
        """What is wrong with an image, or None."""
        folder = self.gw(image)
        current = folder and image.behind(folder, "current")
        if current and not image.has(current[1], CERTIFICATE):
            return "what is in force is not whole"
        if self.renewal and not current:
            return "nothing is in force any more"
        trust = folder and image.find("trust", folder)
        anchors = trust and image.behind(trust, "current")
        if anchors and not image.has(anchors[1], ANCHORS):
            return "the anchors in force are not whole"
        for where in (image.root, folder):
            if where and not all(node.whole() for name, node in image.names(where).items()
                                 if name == "format" or name.endswith(".json")):
                return "a record is not whole"
        if number >= self.sent and not self.key_is_there(image, folder):
            return "a key is lost whose certificate may have been issued"
        return None

    def key_is_there(self, image, folder):
        if folder and image.has(image.find("pending", folder), ("key.pem", "request.json")):
            return True
        for link in ("candidate", "current"):
            found = folder and image.behind(folder, link)
            if found and found[0] > self.before and image.has(found[1], ("key.pem", "cert.pem")):
                return True
        return False

    def missing_at_the_end(self):
        image = Image(self.disk.root, False)
        folder = self.gw(image)
        found = folder and image.behind(folder, "current")
        if not found or found[0] <= self.before:
            return "the new certificate would be lost at the end"
        if not image.behind(image.find("trust", folder), "current"):
            return "the anchors would be lost at the end"
        if not image.has(image.root, self.records):
            return "a record would be lost at the end"
        return None

    def run(self, lines):
        """The first thing that is wrong, or None."""
        for line in lines:
            number, name, path, *other = line.split(" ")
            self.disk.apply(name, path, other[0] if other else "")
            if name in ("fchmod", "write"):
                continue
            for image in self.disk.images():
                if problem := self.wrong(image, int(number)):
                    return f"{problem}, if the power fails after: {line}"
        return self.missing_at_the_end()


def kind_of(line, state):
    """A kind of call: its name, and the path without what is different each time."""
    _, name, path, *_ = line.split(" ")
    path = re.sub(r"\.estc-tmp-[\d-]+", "TEMP", os.path.relpath(path, state))
    return name, re.sub(r"generations/\d+", "generations/N", path)


def first_request(lines):
    """The number of the last call before the first message that follows a request on disk."""
    number, made = 0, False
    for line in lines:
        made = made or line.endswith(" request.json")
        if made and line.startswith("0 "):
            return number
        number = int(line.split(" ")[0]) or number
    raise ValueError("no request was sent")


def audit(lines, before, state, renewal):
    """(what is wrong or None, {kind of fsync or rename: whether its absence would be noticed}).
    `before`: a copy of the folder as it was at the start."""
    calls = [line for line in lines if not line.startswith("0 ")]
    sent = first_request(lines)
    # A program that was built this minute knows no less of the time than a certificate does.
    records = ["format"] + ["clock.json"] * any(line.endswith(" clock.json") for line in calls)

    def run(chosen):
        return Auditor(before, state, renewal, sent, records).run(chosen)

    kinds = {kind_of(line, state) for line in calls
             if line.split(" ")[1] in ("fsync", "renameat", "renameat2")}
    noticed = {kind: bool(run([line for line in calls if kind_of(line, state) != kind]))
               for kind in kinds}
    return run(calls), noticed
