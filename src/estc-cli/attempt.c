/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands enroll, request, renew, rekey, retry and rollback: start an attempt for each
 * identity named, show the steps of all as they happen, and exit with what came of them. The daemon
 * does the work; interrupting estc, or its deadline, ends the watching and nothing else.
 *
 * Each identity has a connection of its own, since answers on one come in the order of the calls.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "bootstrap.h"
#include "cli.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "daemon.h"
#include "print.h"
#include "request.h"
#include "say.h"
#include "view.h"

#define AT_ONCE 16 /* connections: the daemon's number is limited */

/* A method, what it is told, and the command that does it although it is not due. */
struct wish {
    const char *method;
    json_t *(*params)(const struct cli *cli, const char *id);
    const char *all_the_same;
    bool brings; /* files go along */
};

struct attempt {
    const char *id;
    const struct wish *wish;
    struct ctl_client *client; /* NULL: over */
    json_t *identity;          /* how it ended, or NULL */
    int code;
};

/* --- what an event means -----------------------------------------------------------------------
 */

static void say_issued(const struct attempt *a, json_t *event, json_t *identity) {
    json_t *certificate = json_object_get(identity, "certificate");
    _cleanup(freep) char *serial = view_text(certificate, "serial");
    _cleanup(freep) char *end =
        view_time(json_string_value(json_object_get(certificate, "not_after")));
    (void)event;
    say_note("%s: certificate %s, valid until %s", a->id, serial ? serial : "-", end ? end : "-");
}

/* "ID: KIND: TEXT", then what happens next by itself. */
static void say_and_next(const struct attempt *a, json_t *event, json_t *identity) {
    const char *kind = json_string_value(json_object_get(event, "kind"));
    const char *text = json_string_value(json_object_get(event, "text"));
    _cleanup(freep) char *next = view_next(identity, daemon_time(event, "time"));
    say_note("%s: %s: %s", a->id, kind, text ? text : "-");
    if (identity)
        say_note("%s: next: %s", a->id, next ? next : "-");
}

static void say_not_due(const struct attempt *a, json_t *event, json_t *identity) {
    const char *text = json_string_value(json_object_get(event, "text"));
    const char *action = json_string_value(json_object_get(identity, "next_action"));
    bool waits = action && strcmp(action, "poll") == 0;
    if (json_object_get(identity, "paused_since")) /* the text says what to do */
        say_note("%s: not due: %s", a->id, text ? text : "-");
    else
        say_note("%s: not due: %s; 'estc %s %s' does it all the same", a->id, text ? text : "-",
                 waits ? "retry" : a->wish->all_the_same, a->id);
}

static void say_started(const struct attempt *a, json_t *event, json_t *identity) {
    const char *text = json_string_value(json_object_get(event, "text"));
    (void)identity;
    say_note("%s: started (%s)", a->id, text ? text : "-");
}

static void say_text(const struct attempt *a, json_t *event, json_t *identity) {
    const char *text = json_string_value(json_object_get(event, "text"));
    (void)identity;
    say_note("%s: %s", a->id, text ? text : "-");
}

/* What each kind of event says and means; UNKNOWN: what the identity itself says of it. */
#define UNKNOWN (-1)
static const struct kind {
    const char *name;
    int code;
    void (*say)(const struct attempt *a, json_t *event, json_t *identity);
    int otherwise; /* UNKNOWN, and the identity looks well */
} kinds[] = {
    {"step", EXIT_WORKING, say_text, 0},
    {"started", EXIT_WORKING, say_started, 0},
    {"pending", EXIT_WORKING, say_and_next, 0},
    {"issued", EXIT_DONE, say_issued, 0},
    {"deploying", EXIT_DONE, say_text, 0},          /* there was nothing else to retry */
    {"not-due", UNKNOWN, say_not_due, EXIT_DONE},   /* or pending */
    {"failed", UNKNOWN, say_and_next, EXIT_FAILED}, /* even with a certificate in force */
    {"config", EXIT_BAD_CONFIG, say_and_next, 0},
};

static const struct kind *find_kind(const char *name) {
    static const struct kind other = {"", UNKNOWN, say_text, EXIT_FAILED};
    for (size_t i = 0; name && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return &other;
}

static void take_event(const struct cli *cli, struct attempt *a, json_t *params) {
    json_t *event = json_object_get(params, "event");
    json_t *identity = json_object_get(params, "identity");
    const struct kind *kind = find_kind(json_string_value(json_object_get(event, "kind")));
    if (json_is_object(identity)) {
        json_decref(a->identity);
        a->identity = json_incref(identity);
    }
    kind->say(a, event, identity);
    a->code = cli->no_wait && kind->code == EXIT_WORKING ? EXIT_DONE : kind->code;
    if (kind->code == UNKNOWN) {
        json_int_t own = json_integer_value(json_object_get(identity, "exit_code"));
        /* A deployment that failed is no matter of an attempt. */
        bool counts = own > EXIT_FAILED && own <= EXIT_WORKING;
        a->code = counts ? (int)own : kind->otherwise;
    }
}

/* --- watching ----------------------------------------------------------------------------------
 */

/* Everything that has arrived for one attempt. */
static void receive(const struct cli *cli, struct attempt *a) {
    while (a->client) {
        _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
        struct estc_error err = {0};
        int rc = ctl_client_receive(a->client, 0, &reply, &err);
        if (rc == -ETIMEDOUT)
            return;
        if (rc)
            a->code = daemon_failed(rc, &err);
        else if (reply.error)
            a->code = daemon_refused(cli, &reply, a->id);
        else
            take_event(cli, a, reply.params);
        if (rc || !reply.continues)
            a->client = ctl_client_free(a->client);
    }
}

/* What concerns one identity no more than the others; saying it once is enough. */
static bool concerns_all(int code) {
    return code == EXIT_NOT_ALLOWED || code == EXIT_NO_DAEMON;
}

static int milliseconds_until(int64_t deadline) {
    int64_t left = deadline - clock_boot_ms();
    return left <= 0 ? 0 : left < 60000 ? (int)left : 60000;
}

/* Until all are over, the deadline has passed, or there is a reason to stop: its code. */
static int watch(const struct cli *cli, struct attempt *attempts, size_t n, int64_t deadline) {
    for (;;) {
        struct pollfd polled[AT_ONCE];
        size_t running = 0;
        for (size_t i = 0; i < n; i++) {
            polled[i] = (struct pollfd){.fd = -1, .events = POLLIN};
            if (!attempts[i].client)
                continue;
            polled[i].fd = ctl_client_fd(attempts[i].client);
            running++;
        }
        int left = milliseconds_until(deadline);
        if (running == 0 || left == 0)
            return EXIT_DONE;
        poll(polled, n, left);
        for (size_t i = 0; i < n; i++) {
            if (polled[i].revents)
                receive(cli, &attempts[i]);
            if (concerns_all(attempts[i].code))
                return attempts[i].code;
        }
    }
}

static json_t *attempt_params(const struct cli *cli, const char *id) {
    json_t *params = json_pack("{s:s}", "id", id);
    if (params && cli->force)
        json_object_set_new(params, "force", json_true());
    return params;
}

static int start(const struct cli *cli, struct attempt *a) {
    struct estc_error err = {0};
    _cleanup(json_freep) json_t *params = a->wish->params(cli, a->id);
    if (!params)
        return say_out_of_memory();
    int code = daemon_connect(cli, &a->client);
    if (code != EXIT_DONE)
        return code;
    int fds[BOOTSTRAP_FILES];
    size_t n = 0;
    if (a->wish->brings)
        code = bootstrap_open(cli, a->client, fds, &n);
    int rc = code == EXIT_DONE
                 ? ctl_client_send(a->client, a->wish->method, params, !cli->no_wait, &err)
                 : 0;
    while (n > 0)
        fs_closep(&fds[--n]);
    return rc ? daemon_failed(rc, &err) : code;
}

/* Our patience is over, the daemon's is not. */
static void give_up(const struct cli *cli, struct attempt *a) {
    a->client = ctl_client_free(a->client);
    a->code = EXIT_WORKING;
    _cleanup(freep) char *span = view_span(cli->timeout);
    say_note("%s: still under way after %s; estcd goes on with it: 'estc show %s'", a->id,
             span ? span : "-", a->id);
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    if (cli->json && daemon_call(cli, DAEMON_METHOD("Show"), json_pack("{s:s}", "id", a->id), a->id,
                                 &reply) == EXIT_DONE)
        a->identity = json_incref(json_object_get(reply.params, "identity"));
}

/* At most AT_ONCE of them; adds what became of each to the list. */
static int run_some(const struct cli *cli, const struct wish *wish, char **ids, size_t n,
                    json_t *list) {
    struct attempt attempts[AT_ONCE] = {0};
    int worst = EXIT_DONE;
    for (size_t i = 0; i < n && worst == EXIT_DONE; i++) {
        attempts[i].id = ids[i];
        attempts[i].wish = wish;
        worst = start(cli, &attempts[i]);
    }
    if (worst == EXIT_DONE) {
        int64_t wait = cli->no_wait ? DAEMON_ANSWER_MS : cli->timeout * 1000;
        worst = watch(cli, attempts, n, clock_boot_ms() + wait);
    }
    for (size_t i = 0; i < n; i++) {
        if (attempts[i].client && worst == EXIT_DONE)
            give_up(cli, &attempts[i]);
        ctl_client_free(attempts[i].client);
        if (attempts[i].identity)
            json_array_append_new(list, attempts[i].identity);
    }
    for (size_t i = 0; i < n; i++)
        worst = exit_code_worse(worst, attempts[i].code);
    return worst;
}

static int run_all(const struct cli *cli, const struct wish *wish) {
    _cleanup(json_freep) json_t *list = json_array();
    int worst = EXIT_DONE;
    for (size_t at = 0; at < cli->n_ids && !concerns_all(worst); at += AT_ONCE) {
        size_t n = cli->n_ids - at < AT_ONCE ? cli->n_ids - at : AT_ONCE;
        worst = exit_code_worse(worst, run_some(cli, wish, cli->ids + at, n, list));
    }
    if (cli->json)
        print_json(list);
    return worst;
}

#define WISH(method, params, all_the_same) \
    (&(const struct wish){DAEMON_METHOD(method), params, all_the_same, false})

int command_enroll(const struct cli *cli) {
    return run_all(cli, WISH("Enroll", attempt_params, "enroll --force"));
}

int command_renew(const struct cli *cli) {
    return run_all(cli, WISH("Renew", attempt_params, "renew --force"));
}

int command_retry(const struct cli *cli) {
    return run_all(cli, WISH("Retry", attempt_params, "renew --force"));
}

int command_request(const struct cli *cli) {
    return run_all(cli, WISH("Request", request_params, "renew --force"));
}

int command_bootstrap(const struct cli *cli) {
    static const struct wish wish = {DAEMON_METHOD("Bootstrap"), bootstrap_params, "renew --force",
                                     true};
    int code = bootstrap_check(cli);
    return code ? code : run_all(cli, &wish);
}

int command_rollback(const struct cli *cli) {
    return run_all(cli, WISH("Rollback", attempt_params, "renew --force"));
}

int command_rekey(const struct cli *cli) {
    return run_all(cli, WISH("Rekey", attempt_params, "renew --force"));
}
