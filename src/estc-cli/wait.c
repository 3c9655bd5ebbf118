/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command wait: until each identity named is in a state. It follows the daemon's events, and
 * looks again at each; what changes without one (time alone makes `expired`) is seen a little
 * later. Starts nothing.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "daemon.h"
#include "print.h"
#include "say.h"
#include "view.h"

#define LOOK_AGAIN_MS 5000

/* The state of one identity, malloc'd; the identity is added to the list. */
static int look(const struct cli *cli, const char *id, json_t *list, char **state) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("Show"), json_pack("{s:s}", "id", id), id, &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *identity = daemon_member(&reply, "identity", JSON_OBJECT);
    if (!identity)
        return EXIT_FAILED;
    json_array_append(list, identity);
    *state = view_text(identity, "state");
    return *state ? EXIT_DONE : say_out_of_memory();
}

/* EXIT_DONE: all are there; EXIT_WORKING: not yet. The list is what was seen. */
static int look_at_all(const struct cli *cli, const char *wanted, json_t *list, bool say) {
    int result = EXIT_DONE;
    json_array_clear(list);
    for (size_t i = 0; i < cli->n_ids; i++) {
        _cleanup(freep) char *state = NULL;
        int code = look(cli, cli->ids[i], list, &state);
        if (code != EXIT_DONE)
            return code;
        if (strcmp(state, wanted) == 0)
            continue;
        result = EXIT_WORKING;
        if (say)
            say_note("%s: still %s", cli->ids[i], state);
    }
    return result;
}

/* One event or none until then; its content does not matter. */
static int listen_until(const struct cli *cli, struct ctl_client *client, int64_t deadline) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    struct estc_error err = {0};
    int64_t left = deadline - clock_boot_ms();
    if (left < 0) /* would be for ever */
        left = 0;
    int rc =
        ctl_client_receive(client, left < LOOK_AGAIN_MS ? (int)left : LOOK_AGAIN_MS, &reply, &err);
    if (rc == -ETIMEDOUT)
        return EXIT_DONE;
    if (rc)
        return daemon_failed(rc, &err);
    return reply.error ? daemon_refused(cli, &reply, NULL) : EXIT_DONE;
}

static int wait_for(const struct cli *cli, struct ctl_client *client, const char *wanted,
                    json_t *list) {
    int64_t deadline = clock_boot_ms() + cli->timeout * 1000;
    for (;;) {
        bool over = clock_boot_ms() >= deadline;
        int code = look_at_all(cli, wanted, list, over);
        if (code != EXIT_WORKING || over)
            return code;
        code = listen_until(cli, client, deadline);
        if (code != EXIT_DONE)
            return code;
    }
}

static bool is_state(const char *wanted) {
    static const char *const states[] = {"new",     "valid",  "pending", "failing", "expired",
                                         "working", "paused", "config",  "stuck"};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(states[i], wanted) == 0)
            return true;
    return false;
}

int command_wait(const struct cli *cli) {
    const char *wanted = cli->state ? cli->state : "valid";
    if (!is_state(wanted)) {
        say_error("--for %s: no state of an identity: see STATES in estc(1)", wanted);
        return EXIT_BAD_USAGE;
    }
    _cleanup(ctl_client_freep) struct ctl_client *client = NULL;
    _cleanup(json_freep) json_t *list = json_array();
    struct estc_error err = {0};
    if (!list)
        return say_out_of_memory();
    int code = daemon_connect(cli, &client);
    if (code != EXIT_DONE)
        return code;
    /* The events first: what happens between the look and them would be missed. */
    int rc = ctl_client_send(client, DAEMON_METHOD("Events"), NULL, true, &err);
    code = rc ? daemon_failed(rc, &err) : wait_for(cli, client, wanted, list);
    if (cli->json && (code == EXIT_DONE || code == EXIT_WORKING))
        print_json(list);
    return code;
}
