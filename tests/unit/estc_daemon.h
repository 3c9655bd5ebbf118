/* SPDX-License-Identifier: BSD-2-Clause */
/* A daemon for tests of estc: for each identity it plays one part. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/text.h"
#include "common/ctlserver.h"
#include "common/exitcode.h"
#include "ctl/client.h"
#include "support.h"

#define READERS "users"
#define CHANGERS "games"
#define NOBODY 65534

/* --- the daemon ------------------------------------------------------------------------------ */

#define CERTIFICATE "{\"serial\":\"0A1B\",\"not_after\":\"2099-03-01T12:00:00Z\"}"

/* What an attempt for an identity says: its events by kind and text, and the identity at the end.
 */
static const struct part {
    const char *id;
    const char *events[4][2];
    const char *identity; /* NULL: it never ends */
} parts[] = {
    {"good",
     {{"started", "enroll"}, {"step", "DTLS session established"}, {"issued", "serial 0A1B"}},
     "{\"id\":\"good\",\"state\":\"valid\",\"exit_code\":0,\"certificate\":" CERTIFICATE "}"},
    {"fresh",
     {{"not-due", "renewal is planned for 2099-02-01"}},
     "{\"id\":\"fresh\",\"state\":\"valid\",\"exit_code\":0,\"next_action\":\"renew\","
     "\"certificate\":" CERTIFICATE "}"},
    {"later",
     {{"started", "enroll"}, {"pending", "5.03 awaiting approval"}},
     "{\"id\":\"later\",\"state\":\"pending\",\"exit_code\":5,\"next_action\":\"poll\","
     "\"next_due\":\"2000-01-01T00:00:00Z\"}"},
    {"refused",
     {{"started", "enroll"}, {"failed", "4.03 \033[31mno"}},
     "{\"id\":\"refused\",\"state\":\"failing\",\"exit_code\":2,\"failures\":1,"
     "\"next_action\":\"enroll\",\"next_due\":\"2000-01-01T00:00:00Z\"}"},
    {"lost",
     {{"started", "enroll"}, {"failed", "no reply"}},
     "{\"id\":\"lost\",\"state\":\"failing\",\"exit_code\":3}"},
    /* Failed, but what it has is still valid. */
    {"odd", {{"failed", "a bug"}}, "{\"id\":\"odd\",\"state\":\"valid\",\"exit_code\":0}"},
    {"unfit", {{"config", "key.pem: missing"}}, "{\"id\":\"unfit\",\"exit_code\":4}"},
    {"slow", {{"started", "enroll"}, {"step", "state folder opened"}}, NULL},
};

struct daemon {
    sd_event *event;
    bool bad_config;
    bool endless;              /* events do not end */
    struct ctl_call *kept[20]; /* of slow ones; never answered */
    size_t n_kept;
};

static const struct part *find_part(json_t *params) {
    const char *id = json_string_value(json_object_get(params, "id"));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strcmp(parts[i].id, id) == 0)
            return &parts[i];
    return NULL;
}

static inline void no_such_identity(struct ctl_call *call, json_t *params) {
    ctl_call_error(call, "NoSuchIdentity", json_incref(params));
}

static inline json_t *event_of(const char *kind, const char *text) {
    return json_pack("{s:s, s:s, s:s, s:s}", "time", "2026-12-30T12:00:00Z", "kind", kind, "id",
                     "good", "text", text);
}

static inline json_t *identity_of(const struct part *part) {
    return part->identity ? json_loads(part->identity, 0, NULL)
                          : json_pack("{s:s, s:s}", "id", part->id, "state", "working");
}

static inline void handle_attempt(struct ctl_call *call, json_t *params, void *arg) {
    struct daemon *d = arg;
    const struct part *part = find_part(params);
    if (!part) {
        no_such_identity(call, params);
        return;
    }
    size_t n = 0;
    while (part->events[n][0])
        n++;
    if (!ctl_call_wants_more(call)) /* only the first, at once */
        n = 1;
    for (size_t i = 0; i < n; i++) {
        json_t *reply =
            json_pack("{s:o}", "event", event_of(part->events[i][0], part->events[i][1]));
        bool last = i + 1 == n && (part->identity || !ctl_call_wants_more(call));
        if (last)
            json_object_set_new(reply, "identity", identity_of(part));
        ctl_call_reply(call, reply, !last);
    }
    if (!part->identity && ctl_call_wants_more(call))
        d->kept[d->n_kept++] = ctl_call_ref(call);
}

static inline void handle_enroll(struct ctl_call *call, json_t *params, void *arg) {
    struct daemon *d = arg;
    const char *id = json_string_value(json_object_get(params, "id"));
    if (strcmp(id, "vanish") == 0) {
        sd_event_exit(d->event, 0);
        d->kept[d->n_kept++] = ctl_call_ref(call);
        return;
    }
    if (strcmp(id, "fresh") == 0 && json_is_true(json_object_get(params, "force")))
        json_object_set_new(params, "id", json_string("good"));
    handle_attempt(call, params, arg);
}

static inline void handle_renew(struct ctl_call *call, json_t *params, void *arg) {
    const char *id = json_string_value(json_object_get(params, "id"));
    if (strcmp(id, "unfit") == 0)
        ctl_call_error(call, "NoCertificate", json_incref(params));
    else
        handle_attempt(call, params, arg);
}

static inline void handle_list(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    (void)arg;
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        json_array_append_new(list, identity_of(&parts[i]));
    ctl_call_reply(call, json_pack("{s:o}", "identities", list), false);
}

/* Errors that only a daemon of another version would send. */
static inline bool odd_error(struct ctl_call *call, json_t *params) {
    const char *id = json_string_value(json_object_get(params, "id"));
    if (strcmp(id, "unwanted") == 0)
        ctl_call_error(call, "org.varlink.service.InvalidParameter",
                       json_pack("{s:s}", "parameter", "id"));
    else if (strcmp(id, "unknown") == 0)
        ctl_call_error(call, "org.varlink.service.MethodNotFound", NULL);
    else if (strcmp(id, "other") == 0)
        ctl_call_error(call, "Moon\nFull", NULL);
    else if (strcmp(id, "empty") == 0)
        ctl_call_reply(call, NULL, false);
    else
        return false;
    return true;
}

static inline void handle_show(struct ctl_call *call, json_t *params, void *arg) {
    (void)arg;
    const struct part *part = find_part(params);
    if (odd_error(call, params))
        return;
    if (part)
        ctl_call_reply(call, json_pack("{s:o}", "identity", identity_of(part)), false);
    else
        no_such_identity(call, params);
}

static inline void handle_cacerts(struct ctl_call *call, json_t *params, void *arg) {
    (void)arg;
    if (!find_part(params))
        no_such_identity(call, params);
    else if (strcmp(find_part(params)->id, "good") != 0)
        ctl_call_error(call, "NoCertificate", json_incref(params));
    else
        ctl_call_reply(call, json_pack("{s:s}", "pem", "-----BEGIN\n\033[31m\n-----END\n"), false);
}

static inline void handle_reload(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    struct daemon *d = arg;
    if (d->bad_config)
        ctl_call_error(call, "ConfigInvalid",
                       json_pack("{s:[s, s]}", "errors", "estcd.conf:3: urll: unknown key",
                                 "estcd.conf:4: url: empty"));
    else
        ctl_call_reply(call, json_pack("{s:i}", "identities", 8), false);
    d->bad_config = !d->bad_config;
}

static inline void handle_events(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    struct daemon *d = arg;
    ctl_call_reply(call, json_pack("{s:o}", "event", event_of("started", "enroll")), true);
    ctl_call_reply(call, json_pack("{s:o}", "event", event_of("failed", "a\nb \033[31m")),
                   d->endless);
    if (d->endless)
        d->kept[d->n_kept++] = ctl_call_ref(call);
    d->endless = false;
}

static inline void handle_endless(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    ((struct daemon *)arg)->endless = true;
    ctl_call_reply(call, NULL, false);
}

static inline void handle_quit(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    ctl_call_reply(call, NULL, false);
    sd_event_exit(((struct daemon *)arg)->event, 0);
}

static const struct ctl_field id_field[] = {{"id", CTL_STRING}, {NULL}};
static const struct ctl_field attempt_fields[] = {
    {"id", CTL_STRING}, {"force", CTL_BOOL, true}, {NULL}};
static const struct ctl_method methods[] = {
    {.name = "List", .handle = handle_list},
    {.name = "Show", .in = id_field, .handle = handle_show},
    {.name = "CaCerts", .in = id_field, .handle = handle_cacerts},
    {.name = "Enroll", .changes = true, .in = attempt_fields, .handle = handle_enroll},
    {.name = "Renew", .changes = true, .in = attempt_fields, .handle = handle_renew},
    {.name = "Reload", .changes = true, .handle = handle_reload},
    {.name = "Events", .more_only = true, .handle = handle_events},
    {.name = "Endless", .handle = handle_endless},
    {.name = "Quit", .handle = handle_quit},
    {NULL},
};
static const struct ctl_interface interface = {.name = "org.estcd.control", .methods = methods};
static const struct ctl_service service = {.vendor = "",
                                           .product = "estcd",
                                           .version = "9.9.9",
                                           .url = "",
                                           .interface = &interface,
                                           .read_group = READERS,
                                           .change_group = CHANGERS};

static inline int serve(const char *path) {
    struct daemon d = {0};
    struct ctlserver *server = NULL;
    struct estc_error err = {0};
    if (sd_event_new(&d.event) < 0 || ctlserver_new(d.event, path, -1, &service, &d, &server, &err))
        return 1;
    int rc = sd_event_loop(d.event);
    ctlserver_free(server);
    for (size_t i = 0; i < d.n_kept; i++)
        ctl_call_unref(d.kept[i]);
    sd_event_unref(d.event);
    return rc < 0 ? 1 : 0;
}
