/* SPDX-License-Identifier: BSD-2-Clause */
/* The help, of the program and of each command, from the tables. */
#include <string.h>

#include "args_internal.h"
#include "common/exitcode.h"

static void help_commands(FILE *out) {
    fputs("\nCommands:\n", out);
    for (size_t i = 0; args_commands[i].name; i++)
        fprintf(out, "  %-13s %-9s  %s\n", args_commands[i].name, args_commands[i].arguments,
                args_commands[i].help);
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
    for (size_t i = 0; args_options[i].name; i++) {
        int len = args_options[i].for_whom & (knows | FOR_ALL)
                      ? option_words(&args_options[i], words)
                      : 0;
        width = len > width ? len : width;
    }
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        for (size_t i = 0; args_options[i].name; i++)
            if (args_options[i].for_whom & groups[g]) {
                option_words(&args_options[i], words);
                fprintf(out, "  %-*s  %s\n", width, words, args_options[i].help);
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
