/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands pause and resume. */
#include "base/cleanup.h"
#include "cli.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "daemon.h"
#include "print.h"
#include "say.h"

/* The same method for each identity named; ends with the first that fails. already: what is said
 * of one that it has changed nothing for. */
static int tell_all(const struct cli *cli, const char *method, const char *words,
                    const char *already) {
    _cleanup(json_freep) json_t *list = json_array();
    int code = EXIT_DONE;
    for (size_t i = 0; i < cli->n_ids && code == EXIT_DONE; i++) {
        _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
        code = daemon_call(cli, method, json_pack("{s:s}", "id", cli->ids[i]), cli->ids[i], &reply);
        json_t *identity =
            code == EXIT_DONE ? daemon_member(&reply, "identity", JSON_OBJECT) : NULL;
        if (identity)
            json_array_append(list, identity);
        if (identity && !cli->json)
            say_note("%s: %s", cli->ids[i],
                     json_is_false(json_object_get(reply.params, "changed")) ? already : words);
        if (code == EXIT_DONE && !identity)
            code = EXIT_FAILED;
    }
    if (cli->json)
        print_json(list);
    return code;
}

int command_pause(const struct cli *cli) {
    return tell_all(cli, DAEMON_METHOD("Pause"),
                    "paused; nothing renews it by itself until 'estc resume'",
                    "it is paused already");
}

int command_resume(const struct cli *cli) {
    return tell_all(cli, DAEMON_METHOD("Resume"), "resumed; estcd looks after it again",
                    "it was not paused");
}
