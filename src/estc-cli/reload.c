/* SPDX-License-Identifier: BSD-2-Clause */
/* The command reload: returns when the new configuration is in force, or was refused. */
#include "cli.h"
#include "common/exitcode.h"
#include "daemon.h"
#include "print.h"
#include "say.h"

int command_reload(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("Reload"), NULL, NULL, &reply);
    /* The errors are data, too, and params is what carries them. */
    if (cli->json && reply.params && (code == EXIT_DONE || code == EXIT_BAD_CONFIG))
        print_json(reply.params);
    if (code == EXIT_DONE && !cli->json) {
        json_int_t n = json_integer_value(json_object_get(reply.params, "identities"));
        say_note("The configuration was read again: %" JSON_INTEGER_FORMAT " %s.", n,
                 n == 1 ? "identity" : "identities");
    }
    return code;
}
