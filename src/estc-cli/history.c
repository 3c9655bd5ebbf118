/* SPDX-License-Identifier: BSD-2-Clause */
/* The command history: one line for each attempt that has ended. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "common/exitcode.h"
#include "daemon.h"
#include "print.h"
#include "say.h"
#include "view.h"

#define N_COLUMNS 4

/* What it brought, or why not. */
static char *outcome(json_t *result) {
    if (!json_object_get(result, "serial"))
        return view_text(result, "text");
    _cleanup(freep) char *serial = view_text(result, "serial");
    _cleanup(freep) char *end = view_time(json_string_value(json_object_get(result, "not_after")));
    return serial && end ? text_format("certificate %s, valid until %s", serial, end) : NULL;
}

static int add(struct table *table, json_t *result, int64_t now) {
    (void)now;
    const char *code = json_string_value(json_object_get(result, "result"));
    enum tint tint = code && strcmp(code, "ok") == 0 ? TINT_GOOD : TINT_BAD;
    struct cell cells[N_COLUMNS] = {
        {view_time(json_string_value(json_object_get(result, "time"))), TINT_NONE},
        {view_text(result, "action"), TINT_NONE},
        {view_text(result, "result"), tint},
        {outcome(result), TINT_NONE},
    };
    return table_add(table, cells);
}

static int print_results(const struct cli *cli, json_t *results) {
    static const char *const titles[N_COLUMNS] = {"TIME", "ACTION", "RESULT", "WHAT"};
    _cleanup(table_freep) struct table *table =
        table_of(results, N_COLUMNS, cli->no_legend ? NULL : titles, add, 0);
    if (!table)
        return say_out_of_memory();
    struct print_style style = print_style_of(stdout);
    if (json_array_size(results) > 0)
        table_print(table, stdout, &style);
    else if (!cli->no_legend)
        say_note("no attempt has ended yet");
    return EXIT_DONE;
}

int command_history(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("History"), json_pack("{s:s}", "id", cli->ids[0]),
                           cli->ids[0], &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *results = daemon_member(&reply, "results", JSON_ARRAY);
    if (!results)
        return EXIT_FAILED;
    if (!cli->json)
        return print_results(cli, results);
    print_json(results);
    return EXIT_DONE;
}
