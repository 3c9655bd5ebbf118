#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A Varlink client that shares no code with the project: standard library only.

As a module: Client (calls, `more`, `oneway`, raw bytes) and Interface, a strict reader of Varlink's
interface notation that can hold a message against the types it describes. As a program:

    varlink_client.py SOCKET info
    varlink_client.py SOCKET describe INTERFACE
    varlink_client.py SOCKET call METHOD [JSON] [--more]
"""
import json
import re
import socket
import sys


class Error(Exception):
    """An error reply."""

    def __init__(self, reply):
        super().__init__(reply["error"])
        self.name = reply["error"]
        self.parameters = reply.get("parameters", {})


class Client:
    def __init__(self, path, timeout=15):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, method, parameters=None, **flags):
        """flags: more, oneway, upgrade."""
        message = {"method": method, **flags}
        if parameters is not None:
            message["parameters"] = parameters
        self.send_raw(json.dumps(message).encode() + b"\0")

    def receive(self):
        """One reply as it is; ConnectionResetError when the service has closed."""
        while b"\0" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("closed by the service")
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        reply = json.loads(message)
        if not isinstance(reply, dict) or set(reply) - {"parameters", "error", "continues"}:
            raise ValueError(f"no reply: {reply}")
        return reply

    def call(self, method, parameters=None):
        """The parameters of the one reply; raises Error."""
        self.send(method, parameters)
        reply = self.receive()
        if "error" in reply:
            raise Error(reply)
        if reply.get("continues"):
            raise ValueError("continues, though nobody asked for more")
        return reply.get("parameters", {})

    def follow(self, method, parameters=None):
        """The parameters of each reply to a call with `more`; raises Error at the end."""
        self.send(method, parameters, more=True)
        while True:
            reply = self.receive()
            if "error" in reply:
                raise Error(reply)
            yield reply.get("parameters", {})
            if not reply.get("continues"):
                return

    def info(self):
        return self.call("org.varlink.service.GetInfo")

    def interface(self, name):
        reply = self.call("org.varlink.service.GetInterfaceDescription", {"interface": name})
        return Interface(reply["description"])


class Interface:
    """Reads varlink.org's notation, and nothing that is not in its grammar.

    types, errors: name -> fields; methods: name -> (fields in, fields out); docs: name -> text.
    fields: name -> type, where a type is ("maybe", T), ("array", T), ("map", T), ("struct", fields),
    ("enum", [names]), ("named", NAME), or one of the basic names.
    """

    TOKEN = re.compile(r"[ \t\r\n]*((?:#[^\n]*\n[ \t\r\n]*)*)"
                       r"(->|\[\]|\[string\]|[(),:?]|[A-Za-z][A-Za-z0-9._-]*)")
    INTERFACE = re.compile(r"[A-Za-z](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)+")
    TYPE = re.compile(r"[A-Z][A-Za-z0-9]*")
    FIELD = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*")
    BASIC = ("bool", "int", "float", "string", "object")
    CHECKS = {"bool": bool, "int": int, "float": (int, float), "string": str}

    def __init__(self, text):
        self.tokens, self.comments = self._split(text)
        self.types, self.methods, self.errors, self.docs = {}, {}, {}, {}
        self.doc = self.comments[0] if self.comments else ""
        self._expect("interface")
        self.name = self._name(self.INTERFACE)
        while self.tokens:
            self._member()
        for fields in [*self.types.values(), *self.errors.values(),
                       *(f for pair in self.methods.values() for f in pair)]:
            self._known(("struct", fields))

    def _split(self, text):
        tokens, comments, at = [], [], 0
        while text[at:].strip():
            match = self.TOKEN.match(text, at)
            if not match:
                raise ValueError(f"no Varlink: {text[at:at + 40]!r}")
            comments.append(" ".join(line.strip("# ") for line in match.group(1).splitlines()))
            tokens.append(match.group(2))
            at = match.end()
        return tokens, comments

    def _next(self):
        if not self.tokens:
            raise ValueError("ends in the middle")
        self.comments.pop(0)
        return self.tokens.pop(0)

    def _peek(self):
        return self.tokens[0] if self.tokens else None

    def _expect(self, wanted):
        got = self._next()
        if got != wanted:
            raise ValueError(f"{got!r} where {wanted!r} belongs")

    def _name(self, pattern):
        name = self._next()
        if not pattern.fullmatch(name):
            raise ValueError(f"{name!r} is no name here")
        return name

    def _member(self):
        doc = self.comments[0]
        keyword = self._next()
        if keyword not in ("type", "method", "error"):
            raise ValueError(f"{keyword!r} is neither type nor method nor error")
        name = self._name(self.TYPE)
        if name in self.docs:
            raise ValueError(f"{name} twice")
        self.docs[name] = doc
        fields = self._fields()
        if keyword == "method":
            self._expect("->")
            self.methods[name] = fields, self._fields()
        else:
            (self.types if keyword == "type" else self.errors)[name] = fields

    def _fields(self):
        fields = {}
        self._expect("(")
        while self._peek() != ")":
            if fields:
                self._expect(",")
            name = self._name(self.FIELD)
            if name in fields:
                raise ValueError(f"{name} twice")
            self._expect(":")
            fields[name] = self._type()
        self._expect(")")
        return fields

    def _type(self):
        prefix = {"?": "maybe", "[]": "array", "[string]": "map"}.get(self._peek())
        if prefix:
            self._next()
            inner = self._type()
            if prefix == inner[0] == "maybe":
                raise ValueError("?? is no type")
            return prefix, inner
        if self._peek() == "(":
            return "struct", self._fields()
        name = self._next()
        if name in self.BASIC:
            return name
        if not self.TYPE.fullmatch(name):
            raise ValueError(f"{name!r} is no type")
        return "named", name

    def _known(self, kind):
        """Every type that is named is described."""
        if isinstance(kind, str):
            return
        form, inner = kind
        if form == "named":
            if inner not in self.types:
                raise ValueError(f"type {inner} is not described")
        elif form == "struct":
            for field in inner.values():
                self._known(field)
        else:
            self._known(inner)

    # --- messages -------------------------------------------------------------------------------

    def check(self, fields, value, where=""):
        """ValueError when a JSON object does not have exactly these fields."""
        if not isinstance(value, dict):
            raise ValueError(f"{where or 'message'}: no object: {value!r}")
        for name in value:
            if name not in fields:
                raise ValueError(f"{where}{name}: not described")
        for name, kind in fields.items():
            if name in value:
                self._check_type(kind, value[name], f"{where}{name}")
            elif kind[0] != "maybe":
                raise ValueError(f"{where}{name}: missing")

    def _check_type(self, kind, value, where):
        if kind == "object":
            return
        if isinstance(kind, str):
            if not isinstance(value, self.CHECKS[kind]) or (kind != "bool" and
                                                            isinstance(value, bool)):
                raise ValueError(f"{where}: no {kind}: {value!r}")
            return
        form, inner = kind
        if form == "maybe":
            self._check_type(inner, value, where)
        elif form == "named":
            self.check(self.types[inner], value, where + ".")
        elif form == "struct":
            self.check(inner, value, where + ".")
        else:
            if not isinstance(value, list if form == "array" else dict):
                raise ValueError(f"{where}: no {form}: {value!r}")
            for i, item in enumerate(value if form == "array" else value.values()):
                self._check_type(inner, item, f"{where}[{i}]")


def main(path, verb, *arguments):
    with Client(path, timeout=None) as client:
        if verb == "info":
            print(json.dumps(client.info(), indent=2))
        elif verb == "describe":
            reply = client.call("org.varlink.service.GetInterfaceDescription",
                                {"interface": arguments[0]})
            Interface(reply["description"])
            print(reply["description"], end="")
        elif verb == "call":
            more = "--more" in arguments
            method, *rest = [word for word in arguments if word != "--more"]
            parameters = json.loads(rest[0]) if rest else None
            for reply in client.follow(method, parameters) if more else [
                    client.call(method, parameters)]:
                print(json.dumps(reply), flush=True)
        else:
            sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except Error as error:
        sys.exit(f"{error.name} {json.dumps(error.parameters)}")
