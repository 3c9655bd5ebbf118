/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line, from two tables. Options are long (and -h), stand anywhere, take their value as
 * --name VALUE or --name=VALUE, and are never abbreviated: a script must not change its meaning
 * when a later version has one more. Prints nothing but help.
 */
#include "args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "common/conf.h"
#include "common/exitcode.h"

#define DURATION_MAX INT64_C(31536000)

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_DURATION };

/* Which commands know an option. */
enum { FOR_ALL = 1, FOR_LIST = 2, FOR_ATTEMPT = 4, FOR_DISCOVER = 8, FOR_REGISTRAR = 16 };

static const struct option_info {
    const char *name, *value; /* value: what stands for it in the help */
    enum option_type type;
    size_t offset; /* of the target in struct cli */
    unsigned for_whom;
    const char *help;
} options[] = {
    {"socket", "PATH", OPTION_TEXT, offsetof(struct cli, socket), FOR_ALL,
     "control socket of estcd (default: $ESTC_SOCKET, or " CLI_DEFAULT_SOCKET ")"},
    {"json", NULL, OPTION_FLAG, offsetof(struct cli, json), FOR_ALL,
     "print JSON, one line: an object, or an array where there can be several"},
    {"help", NULL, OPTION_FLAG, offsetof(struct cli, help), FOR_ALL, "print this help"},
    {"version", NULL, OPTION_FLAG, offsetof(struct cli, version), FOR_ALL,
     "print the version of estc, without asking the daemon"},
    {"no-legend", NULL, OPTION_FLAG, offsetof(struct cli, no_legend), FOR_LIST | FOR_DISCOVER,
     "leave out the headings and the last line"},
    {"registrar-socket", "PATH", OPTION_TEXT, offsetof(struct cli, registrar_socket), FOR_REGISTRAR,
     "control socket of est-registrar (or $ESTC_REGISTRAR_SOCKET)"},
    {"all", NULL, OPTION_FLAG, offsetof(struct cli, all), FOR_REGISTRAR,
     "with pending: what is decided, too"},
    {"reason", "TEXT", OPTION_TEXT, offsetof(struct cli, reason), FOR_REGISTRAR,
     "with reject: what the device is told"},
    {"force", NULL, OPTION_FLAG, offsetof(struct cli, force), FOR_ATTEMPT,
     "do it although it is not due"},
    {"no-wait", NULL, OPTION_FLAG, offsetof(struct cli, no_wait), FOR_ATTEMPT,
     "do not wait for the end: exit as soon as it has started"},
    {"multicast", "INTERFACE", OPTION_TEXT, offsetof(struct cli, multicast), FOR_DISCOVER,
     "ask all that hear a multicast on this network interface"},
    {"timeout", "DURATION", OPTION_DURATION, offsetof(struct cli, timeout),
     FOR_ATTEMPT | FOR_DISCOVER,
     "wait at most so long: 90s, 15m, 2h (default: " CLI_DEFAULT_TIMEOUT
     "; discover: " CLI_DISCOVER_TIMEOUT ")"},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

struct command {
    const char *name, *arguments;
    size_t min, max; /* number of arguments */
    unsigned knows;  /* options, besides those for all */
    bool changes;    /* needs the right to change */
    int (*run)(const struct cli *cli);
    const char *help;
};

static const struct command commands[] = {
    {"list", "", 0, 0, FOR_LIST, false, command_list, "list all identities, and what each needs"},
    {"show", "ID", 1, 1, 0, false, command_show, "show everything about one identity"},
    {"enroll", "ID...", 1, SIZE_MAX, FOR_ATTEMPT, true, command_enroll,
     "get a first certificate now, and show each step"},
    {"renew", "ID...", 1, SIZE_MAX, FOR_ATTEMPT, true, command_renew,
     "renew the certificate now, and show each step"},
    {"cacerts", "ID", 1, 1, 0, false, command_cacerts,
     "print the CA certificates of an identity as PEM"},
    {"discover", "[ADDRESS]", 0, 1, FOR_DISCOVER, false, command_discover,
     "look for EST servers, at one address or by --multicast; needs no daemon"},
    {"reload", "", 0, 0, 0, true, command_reload,
     "make estcd read its configuration again, and wait until it is in force"},
    {"events", "", 0, 0, 0, false, command_events, "print what happens, as it happens"},
    {"registrar", "WHAT [ID]", 1, 2, FOR_REGISTRAR | FOR_LIST, true, command_registrar,
     "what waits for approval at est-registrar: pending, show, approve, reject"},
    {"version", "", 0, 0, 0, false, command_version,
     "print the versions of estc and of the daemon"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* --- parsing --------------------------------------------------------------------------------- */

static int unknown_option(const char *name, size_t len, struct estc_error *err) {
    const char *known[N_OPTIONS + 1] = {0};
    for (size_t i = 0; i < N_OPTIONS; i++)
        known[i] = options[i].name;
    _cleanup(freep) char *given = strndup(name, len);
    const char *nearest = given ? conf_nearest(given, known) : NULL;
    if (nearest)
        return estc_error_set(err, -EINVAL, "unknown option '--%s': did you mean '--%s'?", given,
                              nearest);
    return estc_error_set(err, -EINVAL, "unknown option '--%.*s'", (int)len, name);
}

static int unknown_command(const char *name, struct estc_error *err) {
    const char *known[N_COMMANDS + 1] = {0};
    for (size_t i = 0; i < N_COMMANDS; i++)
        known[i] = commands[i].name;
    const char *nearest = conf_nearest(name, known);
    if (nearest)
        return estc_error_set(err, -EINVAL, "unknown command '%s': did you mean '%s'?", name,
                              nearest);
    return estc_error_set(err, -EINVAL, "unknown command '%s'", name);
}

static const struct option_info *find_option(const char *name, size_t len) {
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
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
    *used |= 1u << (option - options);
    return store_option(option, value, cli, err);
}

/* Everything is read; does it fit together? */
static int check(const struct cli *cli, unsigned used, struct estc_error *err) {
    const struct command *command = cli->command;
    if (cli->help || cli->version)
        return 0;
    if (!command)
        return estc_error_set(err, -EINVAL, "no command was given");
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (used & 1u << i && !(options[i].for_whom & (FOR_ALL | command->knows)))
            return estc_error_set(err, -EINVAL, "'%s' does not know --%s", command->name,
                                  options[i].name);
    if (cli->n_ids < command->min)
        return estc_error_set(err, -EINVAL, "'%s' needs %s", command->name,
                              command->knows & FOR_REGISTRAR
                                  ? "one of pending, show, approve and reject"
                                  : "the ID of an identity: 'estc list' shows them");
    if (cli->n_ids > command->max)
        return estc_error_set(err, -EINVAL, "'%s' takes %s, but '%s' was given, too", command->name,
                              command->max == 0   ? "no argument"
                              : command->min == 0 ? "one address"
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
    cli->timeout = -1;
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

void args_clear(struct cli *cli) {
    free(cli->ids);
    *cli = (struct cli){0};
}

bool args_is_registrar(const struct cli *cli) {
    return cli->command->run == command_registrar;
}

bool args_changes(const struct cli *cli) {
    return args_is_registrar(cli) ? registrar_changes(cli) : cli->command->changes;
}

int args_run(const struct cli *cli) {
    return cli->command->run(cli);
}

/* --- help ------------------------------------------------------------------------------------ */

static void help_commands(FILE *out) {
    fputs("\nCommands:\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-9s %-9s  %s\n", commands[i].name, commands[i].arguments,
                commands[i].help);
}

/* "--socket PATH"; how long it is. */
static int option_words(const struct option_info *option, char words[64]) {
    return snprintf(words, 64, "%s--%s%s%s", strcmp(option->name, "help") == 0 ? "-h, " : "",
                    option->name, option->value ? " " : "", option->value ? option->value : "");
}

/* Those of one command, and then those that every command has. */
static void help_options(FILE *out, unsigned knows) {
    const unsigned groups[] = {knows, FOR_ALL};
    char words[64];
    int width = 0;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        int len = options[i].for_whom & (knows | FOR_ALL) ? option_words(&options[i], words) : 0;
        width = len > width ? len : width;
    }
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        for (size_t i = 0; i < N_OPTIONS; i++)
            if (options[i].for_whom & groups[g]) {
                option_words(&options[i], words);
                fprintf(out, "  %-*s  %s\n", width, words, options[i].help);
            }
}

static void help_exit_codes(FILE *out) {
    static const struct {
        int code;
        const char *meaning;
    } codes[] = {
#define EXIT_CODE_ROW(name, number, meaning) {number, meaning},
        EXIT_CODE_TABLE(EXIT_CODE_ROW)
#undef EXIT_CODE_ROW
    };
    fputs("\nExit codes:\n", out);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].code != EXIT_CONFIG_TEXT) /* a daemon's */
            fprintf(out, "  %-2d  %s\n", codes[i].code, codes[i].meaning);
}

void args_help(const struct cli *cli, FILE *out) {
    const struct command *command = cli->command;
    if (command) {
        fprintf(out, "Usage: estc [OPTION]... %s%s%s\n\n%c%s.\n\nOptions:\n", command->name,
                *command->arguments ? " " : "", command->arguments, command->help[0] - 'a' + 'A',
                command->help + 1);
        help_options(out, command->knows);
        return;
    }
    fputs("Usage: estc [OPTION]... COMMAND [ID]...\n\n"
          "Look at the certificates that estcd keeps alive, and tell it what to do.\n",
          out);
    help_commands(out);
    fputs("\nOptions:\n", out);
    help_options(out, 0);
    fputs("\nMore options: estc COMMAND --help\n", out);
    help_exit_codes(out);
    fputs("\nSee estc(1), estcd(8).\n", out);
}
