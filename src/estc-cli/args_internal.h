/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of the command line, for what reads them: parser, help, completions. */
#pragma once

#include <stddef.h>

#include "args.h"

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_TEXTS, OPTION_DURATION };

/* Which commands know an option. */
enum {
    FOR_ALL = 1,
    FOR_LIST = 2,
    FOR_ATTEMPT = 4,
    FOR_DISCOVER = 8,
    FOR_REGISTRAR = 16,
    FOR_FORCE = 32,
    FOR_NEED = 64,
    FOR_WAIT = 128,
    FOR_REQUEST = 256,
    FOR_FORGET = 512,
    FOR_CHECK = 1024,
    FOR_BOOTSTRAP = 2048
};

struct option_info {
    const char *name, *value; /* value: what stands for it in the help */
    enum option_type type;
    size_t offset; /* of the target in struct cli */
    unsigned for_whom;
    const char *help;
};
extern const struct option_info args_options[]; /* up to one without a name; 32 at the most */

struct command {
    const char *name, *arguments;
    size_t min, max; /* number of arguments */
    unsigned knows;  /* options, besides those for all */
    bool changes;    /* needs the right to change */
    int (*run)(const struct cli *cli);
    const char *help;
};
extern const struct command args_commands[]; /* up to one without a name */
