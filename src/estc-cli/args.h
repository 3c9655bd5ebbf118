/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: one table of options and one of commands drive parser, help and errors. */
#pragma once

#include <stdio.h>

#include <estc/error.h>

#include "cli.h"

/* Fills cli, which comes zeroed; clear it with args_clear(). -EINVAL with the text of a usage error
 * (EXIT_BAD_USAGE), -ENOMEM. With --help or --version nothing else has to be complete. */
int args_parse(int argc, char **argv, struct cli *cli, struct estc_error *err);
void args_clear(struct cli *cli);

/* True when the command that was named is for est-registrar, not for estcd. */
bool args_is_registrar(const struct cli *cli);

/* True when the command that was named changes something. */
bool args_changes(const struct cli *cli);

/* Runs the command that was named. */
int args_run(const struct cli *cli);

/* The help of the whole program, or of the command that was named. */
void args_help(const struct cli *cli, FILE *out);
