#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# asan.sh BUILDDIR [MESON TEST ARGUMENT]...: runs the tests of a sanitizer build. Every process, the
# workers of estcd included, writes its reports into a folder; one file in it fails the run, whatever
# the tests themselves made of it.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
reports=$PWD/$build/reports
rm -rf "$reports"
mkdir -p "$reports"
chmod 1777 "$reports" # some tests run as another user

export ASAN_OPTIONS="log_path=$reports/asan:detect_leaks=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1:halt_on_error=1"
export ESTC_TEST_SANITIZED=1
# A preload library needs the runtime before it.
ESTC_TEST_LIBASAN=$(gcc -print-file-name=libasan.so)
export ESTC_TEST_LIBASAN

status=0
rm -f "$build"/meson-logs/testlog.json "$build"/meson-logs/testlog.junit.xml
meson test -C "$build" --no-rebuild --print-errorlogs --no-suite lint --timeout-multiplier 3 "$@" ||
    status=$?
# A child that was forked while a thread ran has that thread in its books and not in its process: the
# leak checker notes that it could not stop it. Such a note alone is no report.
find "$reports" -type f | while read -r file; do
    grep -qv -e '^$' -e '^==[0-9]*==Running thread [0-9]* was not suspended' "$file" || rm -f "$file"
done
found=$(find "$reports" -type f | wc -l)
if [ "$found" -ne 0 ]; then
    find "$reports" -type f | sort | head -n 20 | while read -r file; do
        printf '\n== %s\n' "$file"
        head -n 60 "$file"
    done
    echo "$found sanitizer report(s) in $reports"
    [ "$status" -ne 0 ] || status=1
fi
tools/summary.py "$build" "$status"
