/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit codes of all programs; the manuals list them from here. */
#pragma once

/* X(name, number, meaning) */
#define EXIT_CODE_TABLE(X)                                                      \
    X(EXIT_DONE, 0, "done, or nothing to do")                                   \
    X(EXIT_FAILED, 1, "failed")                                                 \
    X(EXIT_REJECTED, 2, "rejected by the CA")                                   \
    X(EXIT_UNREACHABLE, 3, "server unreachable; the daemon keeps trying")       \
    X(EXIT_BAD_CONFIG, 4, "configuration or files of the identity are unfit")   \
    X(EXIT_WORKING, 5, "working, pending, or timed out while waiting")          \
    X(EXIT_NOT_NEEDED, 10, "needs-renewal: no")                                 \
    X(EXIT_BAD_USAGE, 64, "wrong usage of the command line")                    \
    X(EXIT_NO_DAEMON, 69, "the daemon is not running")                          \
    X(EXIT_NOT_ALLOWED, 77, "not allowed; the message names the group to join") \
    X(EXIT_CONFIG_TEXT, 78, "the text of the configuration is wrong (daemons only)")

#define EXIT_CODE_ENUM(name, number, meaning) name = number,
enum exit_code { EXIT_CODE_TABLE(EXIT_CODE_ENUM) };
#undef EXIT_CODE_ENUM

/* Of the outcomes for several identities the one to exit with: 77, 69, 4, 2, 3, 1, 5, 0, in this
 * order. */
int exit_code_worse(int a, int b);
