/* SPDX-License-Identifier: BSD-2-Clause */
/* The command needs-renewal, for scripts: the answer is the exit code, and a line for each identity
 * says why. */
#include "base/cleanup.h"
#include "cli.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "daemon.h"
#include "print.h"
#include "say.h"
#include "view.h"

/* The daemon's answer for one identity; its id is put beside it. */
static int ask(const struct cli *cli, const char *id, json_t *list, bool *needed) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    json_t *params = json_pack("{s:s}", "id", id);
    if (params && cli->within >= 0)
        json_object_set_new(params, "within", json_integer((json_int_t)cli->within));
    int code = daemon_call(cli, DAEMON_METHOD("NeedsRenewal"), params, id, &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *yes = json_object_get(reply.params, "needed");
    _cleanup(freep) char *why = view_text(reply.params, "why");
    if (!daemon_member(&reply, "needed", json_is_true(yes) ? JSON_TRUE : JSON_FALSE) ||
        !daemon_member(&reply, "why", JSON_STRING))
        return EXIT_FAILED;
    *needed |= json_is_true(yes);
    json_object_set_new(reply.params, "id", json_string(id));
    json_array_append(list, reply.params);
    if (!cli->json)
        printf("%s: %s: %s\n", id, json_is_true(yes) ? "yes" : "no", why ? why : "-");
    return EXIT_DONE;
}

int command_needs_renewal(const struct cli *cli) {
    _cleanup(json_freep) json_t *list = json_array();
    bool needed = false;
    for (size_t i = 0; i < cli->n_ids; i++) {
        int code = ask(cli, cli->ids[i], list, &needed);
        if (code != EXIT_DONE)
            return code; /* not known is neither yes nor no */
    }
    if (cli->json)
        print_json(list);
    return needed ? EXIT_DONE : EXIT_NOT_NEEDED;
}
