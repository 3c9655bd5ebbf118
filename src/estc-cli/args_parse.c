/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser of the command line. Options are long (and -h), stand anywhere, take their value as
 * --name VALUE or --name=VALUE, and are never abbreviated: a script must not change its meaning
 * when a later version has one more. Prints nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "args_internal.h"
#include "base/cleanup.h"
#include "common/conf.h"

#define DURATION_MAX INT64_C(31536000)
#define NAMES_MAX 64 /* more than there are options or commands */

static int unknown_option(const char *name, size_t len, struct estc_error *err) {
    const char *known[NAMES_MAX + 1] = {0};
    for (size_t i = 0; i < NAMES_MAX && args_options[i].name; i++)
        known[i] = args_options[i].name;
    _cleanup(freep) char *given = strndup(name, len);
    const char *nearest = given ? conf_nearest(given, known) : NULL;
    if (nearest)
        return estc_error_set(err, -EINVAL, "unknown option '--%s': did you mean '--%s'?", given,
                              nearest);
    return estc_error_set(err, -EINVAL, "unknown option '--%.*s'", (int)len, name);
}

static int unknown_command(const char *name, struct estc_error *err) {
    const char *known[NAMES_MAX + 1] = {0};
    for (size_t i = 0; i < NAMES_MAX && args_commands[i].name; i++)
        known[i] = args_commands[i].name;
    const char *nearest = conf_nearest(name, known);
    if (nearest)
        return estc_error_set(err, -EINVAL, "unknown command '%s': did you mean '%s'?", name,
                              nearest);
    return estc_error_set(err, -EINVAL, "unknown command '%s'", name);
}

static const struct option_info *find_option(const char *name, size_t len) {
    for (size_t i = 0; args_options[i].name; i++)
        if (strlen(args_options[i].name) == len && memcmp(args_options[i].name, name, len) == 0)
            return &args_options[i];
    return NULL;
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; args_commands[i].name; i++)
        if (strcmp(args_commands[i].name, name) == 0)
            return &args_commands[i];
    return NULL;
}

static int add_text(const struct option_info *option, const char *value, struct cli_texts *texts,
                    struct estc_error *err) {
    if (!*value)
        return estc_error_set(err, -EINVAL, "--%s: the value is empty", option->name);
    const char **grown = reallocarray(texts->items, texts->n + 1, sizeof(*texts->items));
    if (!grown)
        return estc_error_set(err, -ENOMEM, "out of memory");
    texts->items = grown;
    texts->items[texts->n++] = value;
    return 0;
}

static int store_option(const struct option_info *option, const char *value, struct cli *cli,
                        struct estc_error *err) {
    void *target = (char *)cli + option->offset;
    switch (option->type) {
    case OPTION_FLAG:
        *(bool *)target = true;
        return 0;
    case OPTION_TEXT:
        if (!*value)
            return estc_error_set(err, -EINVAL, "--%s: the value is empty", option->name);
        *(const char **)target = value;
        return 0;
    case OPTION_TEXTS:
        return add_text(option, value, target, err);
    case OPTION_DURATION:
        if (conf_parse_duration(value, target) < 0 || *(int64_t *)target > DURATION_MAX)
            return estc_error_set(err, -EINVAL,
                                  "--%s %s: not a duration of at most a year: write a number and "
                                  "a unit, as in 90s, 15m or 2h",
                                  option->name, value);
        return 0;
    }
    return -EINVAL;
}

/* One "--name", "--name=VALUE" or "--name VALUE" at argv[*at]; moves *at to its last word. */
static int parse_option(int *at, struct cli *cli, unsigned *used, struct estc_error *err) {
    const char *word = strcmp(cli->argv[*at], "-h") == 0 ? "--help" : cli->argv[*at];
    if (strncmp(word, "--", 2) != 0)
        return estc_error_set(err, -EINVAL, "unknown option '%s'", word);
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    const struct option_info *option = find_option(name, len);
    if (!option)
        return unknown_option(name, len, err);
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    if (!option->value && value)
        return estc_error_set(err, -EINVAL, "--%s takes no value", option->name);
    if (option->value && !value)
        value = *at + 1 < cli->argc ? cli->argv[++*at] : NULL;
    if (option->value && !value)
        return estc_error_set(err, -EINVAL, "--%s needs a value: --%s %s", option->name,
                              option->name, option->value);
    *used |= 1u << (option - args_options);
    return store_option(option, value, cli, err);
}

/* Everything is read; does it fit together? */
static int check(const struct cli *cli, unsigned used, struct estc_error *err) {
    const struct command *command = cli->command;
    if (cli->help || cli->version)
        return 0;
    if (!command)
        return estc_error_set(err, -EINVAL, "no command was given");
    for (size_t i = 0; args_options[i].name; i++)
        if (used & 1u << i && !(args_options[i].for_whom & (FOR_ALL | command->knows)))
            return estc_error_set(err, -EINVAL, "'%s' does not know --%s", command->name,
                                  args_options[i].name);
    if (cli->n_ids < command->min)
        return estc_error_set(err, -EINVAL, "'%s' needs %s", command->name,
                              command->knows & FOR_REGISTRAR
                                  ? "one of pending, show, approve, reject, revoke and load"
                              : command->knows & FOR_REQUEST ? "an ID for the new identity"
                              : command->run == command_completion
                                  ? "a shell: bash, zsh or fish"
                                  : "the ID of an identity: 'estc list' shows them");
    if (cli->n_ids > command->max)
        return estc_error_set(err, -EINVAL, "'%s' takes %s, but '%s' was given, too", command->name,
                              command->max == 0               ? "no argument"
                              : command->knows & FOR_DISCOVER ? "one address"
                                                              : "one ID",
                              cli->ids[command->max]);
    return 0;
}

/* True when the environment named it. */
static bool choose_socket(const char **socket, const char *variable, const char *otherwise) {
    if (*socket)
        return false;
    const char *named = getenv(variable);
    bool found = named && *named;
    *socket = found ? named : otherwise;
    return found;
}

int args_parse(int argc, char **argv, struct cli *cli, struct estc_error *err) {
    cli->argc = argc;
    cli->argv = argv;
    cli->ids = calloc((size_t)argc + 1, sizeof(*cli->ids));
    if (!cli->ids)
        return estc_error_set(err, -ENOMEM, "out of memory");
    cli->timeout = cli->within = -1;
    unsigned used = 0;
    bool only_arguments = false;
    for (int at = 1; at < argc; at++) {
        char *word = argv[at];
        int rc = 0;
        if (!only_arguments && strcmp(word, "--") == 0)
            only_arguments = true;
        else if (!only_arguments && word[0] == '-' && word[1])
            rc = parse_option(&at, cli, &used, err);
        else if (cli->command)
            cli->ids[cli->n_ids++] = word;
        else if (!(cli->command = find_command(word)))
            rc = unknown_command(word, err);
        if (rc)
            return rc;
    }
    if (cli->timeout < 0)
        conf_parse_duration(cli->command && cli->command->knows & FOR_DISCOVER
                                ? CLI_DISCOVER_TIMEOUT
                                : CLI_DEFAULT_TIMEOUT,
                            &cli->timeout);
    cli->socket_from_environment = choose_socket(&cli->socket, "ESTC_SOCKET", CLI_DEFAULT_SOCKET);
    cli->registrar_from_environment =
        choose_socket(&cli->registrar_socket, "ESTC_REGISTRAR_SOCKET", CLI_REGISTRAR_SOCKET);
    return check(cli, used, err);
}
