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
    printf '%s\n' "$*" | fold -s -w 92 | sed 's/^/   /; s/ *$//'
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

ready() { # ready LOG: the daemon says that it serves
    grep -q -e ' serves on ' -e ' started with ' "$1"
}
state_is() { # state_is ID STATE
    estc show "$1" --json 2>/dev/null | grep -q "\"state\": *\"$2\""
}
serial() {
    openssl x509 -noout -serial -in "$dir/state/identities/$1/current/cert.pem" | cut -d= -f2
}

port=$(free_port)

heading "A certification authority for the site"
explain "A root, an issuing CA, a certificate for the server, and a factory (\"birth\") certificate" \
    "for one gateway: what a real gateway brings along from its maker."
show est-registrar init "$dir/registrar" --device gateway-1 --lifetime 90d
# On this machine's loopback only, and with a second profile that ends within the minute.
sed -i -e "s/^address = .*/address = \"127.0.0.1\";/" -e "s/^port = .*/port = $port;/" \
    -e 's/lifetime = "1h";/lifetime = "30s";/' "$dir/registrar/est-registrar.conf"
est-registrar -c "$dir/registrar/est-registrar.conf" 2>"$dir/est-registrar.log" &
pids="$pids $!"
until_true 10 "the registrar serves" ready "$dir/est-registrar.log"

heading "What estcd is to keep alive"
explain "Two identities. The second asks for a certificate with the label \"short\", which ends after" \
    "30 seconds, so that we can watch a renewal without waiting for two months."
cat >"$dir/estcd.conf" <<CONF
state_directory = "$dir/state";
start_spread = "0s";
control_socket = "$dir/control";
defaults = {
    url = "coaps://localhost:$port";
    trust = "$dir/registrar/trust.pem";
    birth = {
        certificate = "$dir/registrar/devices/gateway-1/cert.pem";
        key = "$dir/registrar/devices/gateway-1/key.pem";
    };
};
identities = (
    { id = "gw-mqtt"; subject = "CN=gateway-1-mqtt"; },
    { id = "gw-opcua"; subject = "CN=gateway-1-opcua"; label = "short"; }
);
CONF
show cat "$dir/estcd.conf"
show estcd -c "$dir/estcd.conf" -n
estcd -c "$dir/estcd.conf" 2>"$dir/estcd.log" &
pids="$pids $!"
until_true 10 "estcd runs" ready "$dir/estcd.log"

heading "Two certificates"
explain "estcd has begun by itself the moment it started. Asked by hand to do it once more, it tells" \
    "each step; what was in force until then is replaced only at the last one."
until_true 20 "gw-mqtt is valid" state_is gw-mqtt valid
until_true 20 "gw-opcua is valid" state_is gw-opcua valid
show estc enroll --force gw-mqtt gw-opcua
show estc list
show estc show gw-mqtt

heading "Do certificate, chain and key belong together?"
current=$dir/state/identities/gw-mqtt/current
show openssl verify -CAfile "$dir/registrar/trust.pem" -untrusted "$current/chain.pem" "$current/cert.pem"
of_cert=$(openssl x509 -noout -pubkey -in "$current/cert.pem" | openssl sha256 | cut -d' ' -f2)
of_key=$(openssl pkey -pubout -in "$current/key.pem" | openssl sha256 | cut -d' ' -f2)
[ "$of_cert" = "$of_key" ] || { echo "   key.pem is not the key of cert.pem" >&2; exit 1; }
explain "key.pem and cert.pem have the same public key: $(echo "$of_key" | cut -c1-16)..."
show ls -l "$current/"

heading "A renewal that nobody asked for"
before=$(serial gw-opcua)
explain "gw-opcua has 30 seconds. Its serial number now:"
echo "   $before"
explain "waiting for two thirds of its life to pass ..."
serial_changed() { [ "$(serial gw-opcua)" != "$before" ]; }
until_true 60 "the certificate is renewed" serial_changed
explain "and now:"
echo "   $(serial gw-opcua)"
until_true 10 "the renewal is told" state_is gw-opcua valid
show estc list

heading "What the CA has written down"
show sqlite3 -header -column "$dir/registrar/ledger.sqlite" \
    "SELECT subject, op, rule, substr(serial,1,16) AS serial, datetime(not_after,'unixepoch') AS ends FROM certificates"

if [ -n "$keep" ]; then
    printf '\nKept in %s: estcd.conf, registrar/, state/ and both logs.\n' "$keep"
else
    printf '\nDone. Both daemons are stopped now; --keep DIR keeps the files.\n'
fi
