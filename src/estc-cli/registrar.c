/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command registrar: what waits for approval at an est-registrar, the decision about it, and
 * how much it has to do. Another daemon than estcd, with the same manners.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "daemon.h"
#include "print.h"
#include "say.h"
#include "view.h"

/* --- many --- */

/* Page by page: there can be as many as there are devices. */
static int fetch(const struct cli *cli, json_t *all) {
    bool more = true;
    for (json_int_t after = 0; more;) {
        _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
        int code =
            daemon_call(cli, REGISTRAR_METHOD("Pending"),
                        json_pack("{s:b, s:I}", "all", cli->all, "after", after), NULL, &reply);
        if (code != EXIT_DONE)
            return code;
        json_t *page = daemon_member(&reply, "requests", JSON_ARRAY);
        if (!page || json_array_extend(all, page))
            return page ? say_out_of_memory() : EXIT_FAILED;
        json_t *last = json_array_get(page, json_array_size(page) - 1);
        json_int_t id = json_integer_value(json_object_get(last, "id"));
        more = json_is_true(json_object_get(reply.params, "more")) && id > after;
        after = id;
    }
    return EXIT_DONE;
}

static enum tint tint_of(json_t *request) {
    const char *state = json_string_value(json_object_get(request, "state"));
    return state && strcmp(state, "approved") == 0   ? TINT_GOOD
           : state && strcmp(state, "rejected") == 0 ? TINT_BAD
                                                     : TINT_BUSY;
}

static int add_request(struct table *table, json_t *request, int64_t now) {
    (void)now;
    struct cell cells[] = {
        {view_text(request, "id"), TINT_NONE},
        {view_text(request, "state"), tint_of(request)},
        {view_time(json_string_value(json_object_get(request, "asked_at"))), TINT_NONE},
        {view_time(json_string_value(json_object_get(request, "last_at"))), TINT_NONE},
        {view_text(request, "device"), TINT_NONE},
        {view_text(request, "rule"), TINT_NONE},
        {view_text(request, "subject"), TINT_NONE},
    };
    return table_add(table, cells);
}

static int print_requests(const struct cli *cli, json_t *all) {
    static const char *const headings[] = {"ID",     "STATE", "ASKED",  "LAST ASKED",
                                           "DEVICE", "RULE",  "SUBJECT"};
    struct print_style style = print_style_of(stdout);
    _cleanup(table_freep) struct table *table =
        table_of(all, sizeof(headings) / sizeof(headings[0]), cli->no_legend ? NULL : headings,
                 add_request, 0);
    if (!table)
        return say_out_of_memory();
    if (json_array_size(all) > 0)
        table_print(table, stdout, &style);
    if (!cli->no_legend)
        printf("%zu request%s.\n", json_array_size(all), json_array_size(all) == 1 ? "" : "s");
    return EXIT_DONE;
}

static int registrar_pending(const struct cli *cli, json_int_t id) {
    (void)id;
    _cleanup(json_freep) json_t *all = json_array();
    int code = all ? fetch(cli, all) : say_out_of_memory();
    if (code != EXIT_DONE)
        return code;
    if (!cli->json)
        return print_requests(cli, all);
    print_json(all);
    return EXIT_DONE;
}

/* --- one --- */

static int print_request(json_t *request) {
    static const struct {
        const char *label, *member;
    } rows[] = {
        {"Request", "id"},
        {"State", "state"},
        {"Reason", "reason"},
        {"Subject", "subject"},
        {"Names", "names"},
        {"Key, SHA-256", "key_sha256"},
        {"Operation", "op"},
        {"Label", "label"},
        {"Rule", "rule"},
        {"Device", "device"},
        {"SHA-256", "device_sha256"},
        {"Address", "address"},
        {"Asked", "asked_at"},
        {"Last asked", "last_at"},
        {"Decided", "decided_at"},
        {"Certificate", "certificate_sha256"},
    };
    struct print_style style = {.colour = print_style_of(stdout).colour};
    _cleanup(table_freep) struct table *table = table_new(2);
    int rc = table ? 0 : -1;
    for (size_t i = 0; !rc && i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *value = json_object_get(request, rows[i].member);
        const char *text = json_string_value(value);
        if (!json_is_integer(value) && (!text || !*text))
            continue;
        size_t len = strlen(rows[i].member);
        bool time = len > 3 && strcmp(rows[i].member + len - 3, "_at") == 0;
        struct cell cells[] = {
            {strdup(rows[i].label), TINT_NONE},
            {time ? view_time(text) : view_text(request, rows[i].member),
             strcmp(rows[i].member, "state") == 0 ? tint_of(request) : TINT_NONE}};
        rc = table_add(table, cells);
    }
    if (rc)
        return say_out_of_memory();
    table_print(table, stdout, &style);
    return EXIT_DONE;
}

static int ask(const struct cli *cli, const char *method, json_t *params, const char *done) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, method, params, cli->ids[1], &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *request = daemon_member(&reply, "request", JSON_OBJECT);
    if (!request)
        return EXIT_FAILED;
    if (cli->json) {
        print_json(request);
        return EXIT_DONE;
    }
    if (!done)
        return print_request(request);
    _cleanup(freep) char *subject = view_text(request, "subject");
    say_note("Request %s (%s) is %s.", cli->ids[1], subject ? subject : "-", done);
    return EXIT_DONE;
}

static int registrar_show(const struct cli *cli, json_int_t id) {
    return ask(cli, REGISTRAR_METHOD("Show"), json_pack("{s:I}", "id", id), NULL);
}

static int registrar_approve(const struct cli *cli, json_int_t id) {
    return ask(cli, REGISTRAR_METHOD("Approve"), json_pack("{s:I}", "id", id), "approved");
}

static int registrar_reject(const struct cli *cli, json_int_t id) {
    return ask(cli, REGISTRAR_METHOD("Reject"),
               json_pack("{s:I, s:s*}", "id", id, "reason", cli->reason), "rejected");
}

/* --- certificates --- */

static int registrar_revoke(const struct cli *cli, json_int_t id) {
    (void)id;
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, REGISTRAR_METHOD("Revoke"),
                           json_pack("{s:s, s:s*}", "serial", cli->ids[1], "reason", cli->reason),
                           cli->ids[1], &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *cert = daemon_member(&reply, "certificate", JSON_OBJECT);
    if (!cert)
        return EXIT_FAILED;
    if (cli->json) {
        print_json(reply.params);
        return EXIT_DONE;
    }
    _cleanup(freep) char *subject = view_text(cert, "subject");
    say_note("Certificate %s (%s) is revoked; %s.", cli->ids[1], subject ? subject : "-",
             json_is_true(json_object_get(reply.params, "listed"))
                 ? "the CRL says so"
                 : "no CRL was written: see est-registrar's log and ca.crl");
    return EXIT_DONE;
}

/* --- load --- */

static int add_limit(struct table *table, json_t *limit, int64_t now) {
    (void)now;
    bool none = json_integer_value(json_object_get(limit, "limit")) == 0;
    bool met = json_integer_value(json_object_get(limit, "refused")) > 0;
    struct cell cells[] = {
        {view_text(limit, "name"), TINT_NONE},
        {none ? strdup("none") : view_text(limit, "limit"), TINT_NONE},
        {view_text(limit, "used"), TINT_NONE},
        {view_text(limit, "refused"), met ? TINT_BAD : TINT_NONE},
    };
    return table_add(table, cells);
}

static int print_load(const struct cli *cli, json_t *load, json_t *limits) {
    static const char *const headings[] = {"LIMIT", "AT MOST", "IN USE", "REFUSED"};
    static const struct {
        const char *member, *text;
    } counts[] = {
        {"connected", "handshakes done"},
        {"failed", "handshakes refused"},
        {"requests", "requests"},
        {"cookies", "first messages answered with a cookie"},
    };
    struct print_style style = print_style_of(stdout);
    _cleanup(table_freep) struct table *table =
        table_of(limits, sizeof(headings) / sizeof(headings[0]), cli->no_legend ? NULL : headings,
                 add_limit, 0);
    if (!table)
        return say_out_of_memory();
    table_print(table, stdout, &style);
    if (cli->no_legend)
        return EXIT_DONE;
    printf("\nSince the start:\n");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        printf("  %lld %s\n",
               (long long)json_integer_value(json_object_get(load, counts[i].member)),
               counts[i].text);
    return EXIT_DONE;
}

static int registrar_load(const struct cli *cli, json_int_t id) {
    (void)id;
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, REGISTRAR_METHOD("Load"), NULL, NULL, &reply);
    json_t *limits = code == EXIT_DONE ? daemon_member(&reply, "limits", JSON_ARRAY) : NULL;
    if (!limits)
        return code == EXIT_DONE ? EXIT_FAILED : code;
    if (!cli->json)
        return print_load(cli, reply.params, limits);
    print_json(reply.params);
    return EXIT_DONE;
}

/* --- which --- */

enum takes { NOTHING, REQUEST_ID, SERIAL };

static const struct {
    const char *name;
    enum takes takes;
    bool changes;
    int (*run)(const struct cli *cli, json_int_t id);
} parts[] = {
    {"pending", NOTHING, false, registrar_pending},
    {"show", REQUEST_ID, false, registrar_show},
    {"approve", REQUEST_ID, true, registrar_approve},
    {"reject", REQUEST_ID, true, registrar_reject},
    {"revoke", SERIAL, true, registrar_revoke},
    {"load", NOTHING, false, registrar_load},
};

static int bad_usage(const char *text) {
    say_error("%s; see estc registrar --help", text);
    return EXIT_BAD_USAGE;
}

bool registrar_changes(const struct cli *cli) {
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (cli->n_ids > 0 && strcmp(parts[i].name, cli->ids[0]) == 0)
            return parts[i].changes;
    return false;
}

int command_registrar(const struct cli *cli) {
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(parts[i].name, cli->ids[0]) != 0)
            continue;
        static const char *const needs[] = {
            [NOTHING] = "it takes no argument",
            [REQUEST_ID] = "the ID of one request is needed",
            [SERIAL] = "the serial number of one certificate is needed",
        };
        if (cli->n_ids != (parts[i].takes == NOTHING ? 1 : 2))
            return bad_usage(needs[parts[i].takes]);
        char *end = NULL;
        long long id = parts[i].takes == REQUEST_ID ? strtoll(cli->ids[1], &end, 10) : 1;
        if (id < 1 || (end && *end))
            return bad_usage("the ID of a request is a number, which 'estc registrar pending' "
                             "shows");
        return parts[i].run(cli, id);
    }
    return bad_usage("there are registrar pending, show, approve, reject, revoke and load");
}
