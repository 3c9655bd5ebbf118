/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estc: asks estcd and says what it answered. Parses the command line, runs one command, makes sure
 * that what was printed has arrived. Holds no state and reads no file.
 */
#include <limits.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>

#include "args.h"
#include "base/cleanup.h"
#include "common/exitcode.h"
#include "print.h"
#include "say.h"

#define STDOUT_BUFFER (1024 * 1024)
#define MEMORY_STEP (16 * 1024 * 1024)

static int run(struct cli *cli, int argc, char **argv) {
    struct estc_error err = {0};
    if (args_parse(argc, argv, cli, &err)) {
        say_error("%s", err.text);
        say_note("Try 'estc --help'.");
        return EXIT_BAD_USAGE;
    }
    if (cli->help) {
        args_help(cli, stdout);
        return EXIT_DONE;
    }
    if (cli->version) {
        printf("estc %s\n", ESTC_VERSION);
        return EXIT_DONE;
    }
    return args_run(cli);
}

int main(int argc, char **argv) {
    /* What the daemon sends is UTF-8, whatever LANG says of the terminal. */
    setlocale(LC_CTYPE, "C.UTF-8");
    /* A reader that goes away is found out by writing, the same everywhere: below systemd SIGPIPE
     * is ignored to begin with. */
    signal(SIGPIPE, SIG_IGN);
    /* Written in one go, and then with an errno that says what went wrong. */
    setvbuf(stdout, NULL, _IOFBF, STDOUT_BUFFER);
    /* An answer may be of thousands: memory comes in large steps, and goes all at once. */
    mallopt(M_TOP_PAD, MEMORY_STEP);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    _cleanup(args_clear) struct cli cli = {0};
    int code = run(&cli, argc, argv);
    if (!print_finish() && code == EXIT_DONE)
        code = EXIT_FAILED;
    return code;
}
