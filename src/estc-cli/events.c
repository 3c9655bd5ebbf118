/* SPDX-License-Identifier: BSD-2-Clause */
/* The command events: one line for each thing that happens, until one side has enough. */
#include <errno.h>

#include "base/cleanup.h"
#include "cli.h"
#include "common/exitcode.h"
#include "daemon.h"
#include "print.h"
#include "view.h"

#define LOOK_AROUND_MS 1000 /* how soon a reader of ours that went away is noticed */

static void print_event(const struct cli *cli, json_t *event) {
    if (cli->json) {
        print_json(event);
        return;
    }
    _cleanup(freep) char *time = view_text(event, "time");
    _cleanup(freep) char *id = view_text(event, "id");
    _cleanup(freep) char *kind = view_text(event, "kind");
    _cleanup(freep) char *text = view_text(event, "text");
    if (time && id && kind && text)
        printf("%s  %-16s  %-13s  %s\n", time, id, kind, text);
}

int command_events(const struct cli *cli) {
    _cleanup(ctl_client_freep) struct ctl_client *client = NULL;
    struct estc_error err = {0};
    int code = daemon_connect(cli, &client);
    if (code != EXIT_DONE)
        return code;
    int rc = ctl_client_send(client, DAEMON_METHOD("Events"), NULL, true, &err);
    for (bool goes_on = true; !rc && goes_on;) {
        _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
        rc = ctl_client_receive(client, LOOK_AROUND_MS, &reply, &err);
        if (print_reader_gone())
            return EXIT_DONE;
        if (rc == -ETIMEDOUT) {
            rc = 0;
            continue;
        }
        if (!rc && reply.error)
            return daemon_refused(cli, &reply, NULL);
        if (!rc)
            print_event(cli, json_object_get(reply.params, "event"));
        if (!print_finish())
            return EXIT_FAILED;
        goes_on = reply.continues;
    }
    return rc ? daemon_failed(rc, &err) : EXIT_DONE;
}
