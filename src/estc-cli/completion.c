/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command completion: what a shell has to know to complete a command line of estc, from the
 * tables of options and commands. Ids are asked for when they are needed. Needs no daemon.
 */
#include <stdio.h>
#include <string.h>

#include "args_internal.h"
#include "common/exitcode.h"
#include "say.h"

/* What stands for the value of an option or for an argument, and what it can be. */
static const struct {
    const char *placeholder, *words; /* words NULL: a file */
} values[] = {
    {"PATH", NULL},
    {"FILE", NULL},
    {"STATE", "new valid pending failing expired paused config"},
    {"TYPE", "p256 p384 rsa2048 rsa3072 rsa4096"},
    {"WHAT [ID]", "pending show approve reject revoke load"},
    {"SHELL", "bash zsh fish"},
};
#define N_VALUES (sizeof(values) / sizeof(values[0]))

/* N_VALUES: nothing that could be known. */
static size_t value_of(const char *placeholder) {
    size_t i = 0;
    while (i < N_VALUES && (!placeholder || strcmp(values[i].placeholder, placeholder) != 0))
        i++;
    return i;
}

static bool takes_ids(const struct command *command) {
    return strncmp(command->arguments, "ID", 2) == 0
               ? !(command->knows & FOR_REQUEST) /* which makes one */
               : strcmp(command->arguments, "[ID]") == 0;
}

static bool knows(const struct command *command, const struct option_info *option) {
    return option->for_whom & (command->knows | FOR_ALL);
}

/* In single quotes, for the shell. */
static void put_quoted(const char *text, bool fish) {
    putchar('\'');
    for (; *text; text++)
        if (*text == '\'')
            fputs(fish ? "\\'" : "'\\''", stdout);
        else if (*text == '\\' && fish)
            fputs("\\\\", stdout);
        else
            putchar(*text);
    putchar('\'');
}

/* --- bash and zsh, which differ in how they offer things ---------------------------------------
 */

/* The options whose value is of one kind, as a pattern of case; false when there are none. */
static bool put_options_with(size_t value) {
    const char *before = "    ";
    for (const struct option_info *o = args_options; o->name; o++)
        if (o->value && value_of(o->value) == value) {
            printf("%s--%s", before, o->name);
            before = "|";
        }
    return *before == '|';
}

static void put_values(const char *files, const char *words) {
    for (size_t i = 0; i <= N_VALUES; i++) {
        if (!put_options_with(i))
            continue;
        if (i == N_VALUES)
            puts(") return ;;");
        else if (!values[i].words)
            printf(") %s; return ;;\n", files);
        else
            printf(") %s '%s'; return ;;\n", words, values[i].words);
    }
}

/* The options with a value, but for the sockets; the value is no argument. */
static void put_skipped(void) {
    const char *before = "        ";
    for (const struct option_info *o = args_options; o->name; o++)
        if (o->value && strcmp(o->value, "PATH") != 0) {
            printf("%s--%s", before, o->name);
            before = "|";
        }
}

/* A line for each command: its options, and what its arguments are. */
static void put_commands(void) {
    for (const struct command *c = args_commands; c->name; c++) {
        size_t value = value_of(c->arguments);
        printf("    %s) options=' ", c->name);
        for (const struct option_info *o = args_options; o->name; o++)
            if (knows(c, o))
                printf("--%s ", o->name);
        printf("' offered='%s' ids=%s ;;\n", value < N_VALUES ? values[value].words : "",
               takes_ids(c) ? "estc" : "");
    }
}

/* The functions that both shells understand. */
static const char ids_function[] =
    "_estc_ids() { # estc or registrar, then options\n"
    "    local what=$1 id rest\n"
    "    shift\n"
    "    case $what in\n"
    "    estc) estc list --no-legend \"$@\" ;;\n"
    "    registrar) estc registrar pending --all --no-legend \"$@\" ;;\n"
    "    esac 2>/dev/null | while read -r id rest; do printf '%s\\n' \"$id\"; done\n"
    "}\n\n";

static void print_bash(void) {
    fputs("# bash completion of estc(1), made by 'estc completion bash'\n\n", stdout);
    fputs(ids_function, stdout);
    puts("_estc_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
         "_estc_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
         "\"$cur\"); }\n\n"
         "_estc() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} i\n"
         "    local command='' what='' options='' offered='' ids='' socket=()\n"
         "    COMPREPLY=()\n"
         "    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
         "    if [[ $cur == = ]]; then cur=''; fi\n"
         "    case $prev in");
    put_values("_estc_files", "_estc_words");
    puts("    esac\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case ${COMP_WORDS[i]} in\n"
         "        --socket|--registrar-socket) socket=(\"${COMP_WORDS[i]}\" "
         "\"${COMP_WORDS[i+1]}\"); "
         "((++i)) ;;");
    put_skipped();
    puts(
        ") ((++i)) ;;\n"
        "        -*) ;;\n"
        "        *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; elif [[ -z $what ]]; then "
        "what=${COMP_WORDS[i]}; fi ;;\n"
        "        esac\n"
        "    done\n"
        "    case $command in");
    put_commands();
    fputs("    '') options='", stdout);
    for (const struct option_info *o = args_options; o->name; o++)
        if (o->for_whom & FOR_ALL)
            printf("--%s ", o->name);
    fputs("' offered='", stdout);
    for (const struct command *c = args_commands; c->name; c++)
        printf("%s ", c->name);
    puts("' ;;\n"
         "    esac\n"
         "    if [[ $command == registrar && -n $what ]]; then offered='' ids=''; [[ $what == "
         "pending ]] || ids=registrar; fi\n"
         "    if [[ $cur == -* ]]; then offered=$options; ids=''; fi\n"
         "    if [[ -n $ids ]]; then offered=$(_estc_ids \"$ids\" \"${socket[@]}\"); fi\n"
         "    _estc_words \"$offered\"\n"
         "}\n"
         "complete -F _estc estc");
}

static void put_described(const char *name, const char *dashes, const char *help) {
    char line[512];
    snprintf(line, sizeof(line), "%s%s:%s", dashes, name, help);
    fputs("        ", stdout);
    put_quoted(line, false);
    putchar('\n');
}

static void print_zsh(void) {
    fputs("#compdef estc\n# zsh completion of estc(1), made by 'estc completion zsh'\n\n", stdout);
    fputs(ids_function, stdout);
    puts("_estc_offer() { compadd -- ${(s: :)1}; }\n\n"
         "_estc() {\n"
         "    local command='' what='' options='' offered='' ids='' i\n"
         "    local -a socket commands described\n"
         "    commands=(");
    for (const struct command *c = args_commands; c->name; c++)
        put_described(c->name, "", c->help);
    puts("    )\n"
         "    described=(");
    for (const struct option_info *o = args_options; o->name; o++)
        put_described(o->name, "--", o->help);
    puts("    )\n"
         "    case ${words[CURRENT-1]} in");
    put_values("_files", "_estc_offer");
    puts("    esac\n"
         "    for ((i = 2; i < CURRENT; i++)); do\n"
         "        case ${words[i]} in");
    puts("        --socket|--registrar-socket) socket=(${words[i]} ${words[i+1]}); ((++i)) ;;");
    put_skipped();
    puts(") ((++i)) ;;\n"
         "        -*) ;;\n"
         "        *) if [[ -z $command ]]; then command=${words[i]}; elif [[ -z $what ]]; then "
         "what=${words[i]}; fi ;;\n"
         "        esac\n"
         "    done\n"
         "    case $command in");
    put_commands();
    puts("    esac\n"
         "    if [[ $command == registrar && -n $what ]]; then offered='' ids=''; [[ $what == "
         "pending ]] || ids=registrar; fi\n"
         "    if [[ ${words[CURRENT]} == -* ]]; then\n"
         "        local -a known\n"
         "        for i in \"${described[@]}\"; do\n"
         "            if [[ -z $command || $options == *\" ${i%%:*} \"* ]]; then known+=(\"$i\"); "
         "fi\n"
         "        done\n"
         "        _describe -o option known\n"
         "    elif [[ -z $command ]]; then _describe command commands\n"
         "    elif [[ -n $ids ]]; then compadd -- ${(f)\"$(_estc_ids $ids \"${socket[@]}\")\"}\n"
         "    elif [[ -n $offered ]]; then _estc_offer \"$offered\"\n"
         "    fi\n"
         "}\n"
         "if [[ $funcstack[1] == _estc ]]; then _estc \"$@\"; else compdef _estc estc; fi");
}

/* --- fish ---------------------------------------------------------------------------------------
 */

static void put_fish_command(const struct command *c) {
    size_t value = value_of(c->arguments);
    printf("complete -c estc -n __fish_use_subcommand -a %s -d ", c->name);
    put_quoted(c->help, true);
    putchar('\n');
    if (takes_ids(c))
        printf("complete -c estc -n '__fish_seen_subcommand_from %s' -a '(__estc_ids)'\n", c->name);
    if (value < N_VALUES)
        printf("complete -c estc -n '__fish_seen_subcommand_from %s; and not "
               "__fish_seen_subcommand_from %s' -a '%s'\n",
               c->name, values[value].words, values[value].words);
}

static void put_fish_option(const struct option_info *o) {
    fputs("complete -c estc", stdout);
    if (!(o->for_whom & FOR_ALL)) {
        fputs(" -n '__fish_seen_subcommand_from", stdout);
        for (const struct command *c = args_commands; c->name; c++)
            if (knows(c, o))
                printf(" %s", c->name);
        putchar('\'');
    }
    size_t value = value_of(o->value);
    printf(" -l %s%s", o->name, o->value ? " -r" : "");
    if (value < N_VALUES)
        values[value].words ? printf(" -a '%s'", values[value].words) : printf(" -F");
    fputs(" -d ", stdout);
    put_quoted(o->help, true);
    putchar('\n');
}

static void print_fish(void) {
    puts("# fish completion of estc(1), made by 'estc completion fish'\n\n"
         "function __estc_ids\n"
         "    estc list --no-legend 2>/dev/null | string replace -r ' .*' ''\n"
         "end\n"
         "function __estc_requests\n"
         "    estc registrar pending --all --no-legend 2>/dev/null | string replace -r ' .*' ''\n"
         "end\n\n"
         "complete -c estc -f");
    for (const struct command *c = args_commands; c->name; c++)
        put_fish_command(c);
    puts("complete -c estc -n '__fish_seen_subcommand_from registrar; and "
         "__fish_seen_subcommand_from show approve reject' -a '(__estc_requests)'");
    for (const struct option_info *o = args_options; o->name; o++)
        put_fish_option(o);
}

int command_completion(const struct cli *cli) {
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(cli->ids[0], shells[i].shell) == 0) {
            shells[i].print();
            return EXIT_DONE;
        }
    say_error("no completion for '%s': there are bash, zsh and fish", cli->ids[0]);
    return EXIT_BAD_USAGE;
}
