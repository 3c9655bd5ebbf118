#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh BUILDDIR [--keep DIR]: the main job from nothing to a renewed certificate, on loopback, in a
# folder of its own. Ends whatever it has started on every way out.
set -eu
cd "$(dirname "$0")/.."
build=$PWD/$1
shift
keep=
while [ $# -gt 0 ]; do
    case $1 in
    --keep)
        [ $# -ge 2 ] || { echo "./dev demo: --keep needs a folder" >&2; exit 64; }
        keep=$2
        shift 2
        ;;
    *)
        echo "usage: ./dev demo [--keep DIR]" >&2
        exit 64
        ;;
    esac
done

pids=
tidy() {
    status=$?
    trap - EXIT INT TERM HUP
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ "$status" -ne 0 ]; then
        for log in "$dir"/*.log; do
            [ -f "$log" ] && printf '\n-- %s\n' "$log" && tail -n 20 "$log"
        done
        printf '\nThe demo failed (status %s).\n' "$status"
    fi
    [ -n "$keep" ] || rm -rf "$dir"
    exit "$status"
}

if [ -n "$keep" ]; then
    if [ -e "$keep" ] && [ -n "$(ls -A "$keep")" ]; then
        echo "./dev demo: $keep is not empty: name a new folder" >&2
        exit 1
    fi
    mkdir -p "$keep"
    dir=$(cd "$keep" && pwd)
else
    dir=$(mktemp -d)
fi
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

PATH=$build/src/estcd:$build/src/estc-cli:$build/src/est-registrar:$PATH
ESTC_SOCKET=$dir/control
export PATH ESTC_SOCKET

if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi
number=0
heading() {
    number=$((number + 1))
    printf '\n%s%s. %s%s\n' "$bold" "$number" "$*" "$plain"
}
explain() {
    printf '%s\n' "$*" | fold -s -w 92 | sed 's/^/   /'
}
# Shows a command as a person would type it, runs it, indents what it prints.
show() {
    printf '\n   %s$ %s%s\n' "$bold" "$(printf '%s' "$*" | sed "s|$dir/||g")" "$plain"
    {
        status=0
        "$@" 2>&1 || status=$?
        echo "$status" >"$dir/status"
    } | sed "s|$dir/||g; s/^/   /"
    status=$(cat "$dir/status")
    rm -f "$dir/status"
    return "$status"
}
# until_true SECONDS WHAT COMMAND...: waits for a command to succeed.
until_true() {
    tries=$(($1 * 5))
    what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "   not in time: $what" >&2; return 1; }
        sleep 0.2
    done
}
free_port() {
    /usr/bin/python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
