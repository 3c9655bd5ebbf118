/* SPDX-License-Identifier: BSD-2-Clause */
/* The command metrics: what the daemon measures, as it is. */
#include "cli.h"
#include "common/exitcode.h"
#include "daemon.h"
#include "print.h"

int command_metrics(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("Metrics"), NULL, NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *text = daemon_member(&reply, "openmetrics", JSON_STRING);
    if (!text)
        return EXIT_FAILED;
    if (cli->json)
        print_json(reply.params);
    else
        print_ascii(json_string_value(text));
    return EXIT_DONE;
}
