/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interface org.estcd.registrar, as a table, and its methods. They look into the ledger and
 * write decisions there, durably, before they say so; who waits with an open connection is answered
 * then. Nothing is issued from here.
 */
#include "control.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/ctlserver.h"
#include "common/journal.h"
#include "load.h"
#include "registrar_internal.h"

#define PAGE 100 /* requests of one reply */

struct control {
    struct registrar *registrar;
    struct estc_listener *listener;
    struct hold *hold;
    struct ctlserver *server;
};

/* --- requests as JSON --- */

static const struct ctl_field request_fields[] = {
    {"id", CTL_INT},
    {"state", CTL_STRING},
    {"subject", CTL_STRING},
    {"names", CTL_STRING},
    {"op", CTL_STRING},
    {"label", CTL_STRING},
    {"rule", CTL_STRING},
    {"key_sha256", CTL_STRING},
    {"device", CTL_STRING},
    {"device_sha256", CTL_STRING},
    {"address", CTL_STRING},
    {"asked_at", CTL_STRING},
    {"last_at", CTL_STRING},
    {"decided_at", CTL_STRING, .optional = true},
    {"reason", CTL_STRING, .optional = true},
    {"certificate_sha256", CTL_STRING, .optional = true},
    {NULL},
};

static const struct ctl_field certificate_fields[] = {
    {"serial", CTL_STRING},
    {"sha256", CTL_STRING},
    {"subject", CTL_STRING},
    {"not_after", CTL_STRING},
    {"revoked_at", CTL_STRING},
    {"reason", CTL_STRING},
    {NULL},
};

static const struct ctl_named_type types[] = {{"Request", request_fields},
                                              {"Certificate", certificate_fields},
                                              {"Limit", load_limit_fields},
                                              {NULL}};

static const char *unless_empty(const char *text) {
    return *text ? text : NULL;
}

static json_t *request_json(const struct ledger_pending *p) {
    char asked[CLOCK_TEXT_MAX], last[CLOCK_TEXT_MAX], decided[CLOCK_TEXT_MAX];
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s*, "
                     "s:s*, s:s*}",
                     "id", (json_int_t)p->id, "state", ledger_state_names[p->state], "subject",
                     p->subject, "names", p->names, "op", p->op, "label", p->label, "rule", p->rule,
                     "key_sha256", p->key_sha256, "device", p->device, "device_sha256",
                     p->authenticator, "address", p->address, "asked_at",
                     clock_text(p->asked_at, asked), "last_at", clock_text(p->last_at, last),
                     "decided_at", p->decided_at ? clock_text(p->decided_at, decided) : NULL,
                     "reason", unless_empty(p->reason), "certificate_sha256",
                     unless_empty(p->certificate));
}

/* --- methods --- */

static void ledger_failed(struct ctl_call *call, const struct estc_error *err) {
    journal_error("%s", err->text);
    ctl_call_error(call, "LedgerFailed", json_pack("{s:s}", "text", err->text));
}

static void no_such_request(struct ctl_call *call, int64_t id) {
    ctl_call_error(call, "NoSuchRequest", json_pack("{s:I}", "id", (json_int_t)id));
}

struct page {
    json_t *list;
    bool more;
};

static int add_to_page(void *arg, const struct ledger_pending *pending) {
    struct page *page = arg;
    if (json_array_size(page->list) == PAGE) {
        page->more = true;
        return 1;
    }
    return json_array_append_new(page->list, request_json(pending)) ? -ENOMEM : 0;
}

static void handle_pending(struct ctl_call *call, json_t *params, void *arg) {
    const struct control *control = arg;
    struct ledger *ledger = control->registrar->ledger;
    const bool all = json_is_true(json_object_get(params, "all"));
    const int64_t after = json_integer_value(json_object_get(params, "after"));
    struct page page = {.list = json_array()};
    struct estc_error err = {.text = "out of memory"};
    int rc = page.list ? ledger->ops->each_request(ledger, all, after, add_to_page, &page, &err)
                       : -ENOMEM;
    if (rc < 0) {
        json_decref(page.list);
        ledger_failed(call, &err);
        return;
    }
    ctl_call_reply(call, json_pack("{s:o, s:b}", "requests", page.list, "more", page.more), false);
}

/* Answers with the request as it is now. */
static void reply_request(const struct control *control, struct ctl_call *call, int64_t id) {
    struct ledger *ledger = control->registrar->ledger;
    _cleanup(ledger_pending_clear) struct ledger_pending found = {0};
    struct estc_error err = {0};
    int rc = ledger->ops->get_request(ledger, id, &found, &err);
    if (rc == -ENOENT)
        no_such_request(call, id);
    else if (rc)
        ledger_failed(call, &err);
    else
        ctl_call_reply(call, json_pack("{s:o}", "request", request_json(&found)), false);
}

static void handle_show(struct ctl_call *call, json_t *params, void *arg) {
    reply_request(arg, call, json_integer_value(json_object_get(params, "id")));
}

static void decide(const struct control *control, struct ctl_call *call, json_t *params,
                   enum ledger_state state) {
    struct ledger *ledger = control->registrar->ledger;
    int64_t id = json_integer_value(json_object_get(params, "id"));
    const char *given = json_string_value(json_object_get(params, "reason"));
    _cleanup(freep) char *reason = text_clean(given ? given : "", given ? strlen(given) : 0, 200);
    struct estc_error err = {.text = "out of memory"};
    int rc = reason ? ledger->ops->decide_request(ledger, id, state, reason, clock_real(), &err)
                    : -ENOMEM;
    if (rc == -ENOENT) {
        no_such_request(call, id);
    } else if (rc == -EALREADY) {
        ctl_call_error(call, "AlreadyDecided",
                       json_pack("{s:I, s:s}", "id", (json_int_t)id, "text", err.text));
    } else if (rc) {
        ledger_failed(call, &err);
    } else {
        char by[16];
        snprintf(by, sizeof(by), "%u", (unsigned)ctl_call_uid(call));
        const struct audit_record record = {.request = id, .reason = reason, .by = by};
        audit_write(control->registrar->audit,
                    state == LEDGER_APPROVED ? AUDIT_APPROVED : AUDIT_REJECTED, &record,
                    "request %lld: %s by user %s%s%s", (long long)id, ledger_state_names[state], by,
                    *reason ? ": " : "", reason);
        reply_request(control, call, id);
        hold_ask_again(control->hold);
    }
}

static void handle_approve(struct ctl_call *call, json_t *params, void *arg) {
    decide(arg, call, params, LEDGER_APPROVED);
}

static void handle_reject(struct ctl_call *call, json_t *params, void *arg) {
    decide(arg, call, params, LEDGER_REJECTED);
}

/* --- certificates --- */

/* A serial number as the ledger has it: whole bytes in upper case, without what people put between
 * them and with the zero that some leave out in front. */
static char *serial_of(const char *text) {
    size_t used = 0;
    _cleanup(freep) char *digits = strdup(text);
    for (const char *p = text; digits && *p; p++)
        if (*p != ':' && *p != ' ')
            digits[used++] = (char)toupper((unsigned char)*p);
    if (!digits)
        return NULL;
    digits[used] = '\0';
    const char *first = digits + strspn(digits, "0");
    return text_format("%s%s", strlen(first) % 2 || !*first ? "0" : "", first);
}

static json_t *revoked_json(const struct ledger_entry *e) {
    char at[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "serial", e->serial, "sha256", e->sha256,
                     "subject", e->subject, "not_after", clock_text(e->not_after, until),
                     "revoked_at", clock_text(e->revoked_at, at), "reason",
                     crl_reason_name(e->revoked_reason));
}

/* It is revoked from here on, whether the list of it can be written or not. */
static void revoked(const struct control *control, struct ctl_call *call,
                    const struct ledger_entry *e) {
    struct crl *crl = control->registrar->crl;
    struct estc_error err = {0};
    char by[16];
    snprintf(by, sizeof(by), "%u", (unsigned)ctl_call_uid(call));
    const char *reason = crl_reason_name(e->revoked_reason);
    const struct audit_record record = {
        .serial = e->serial, .subject = e->subject, .reason = reason, .by = by};
    audit_write(control->registrar->audit, AUDIT_REVOKED, &record,
                "%s of '%s': revoked by user %s: %s", e->serial, e->subject, by, reason);
    const bool listed = crl && !crl_write(crl, &err);
    if (crl && !listed) {
        journal_error("ca.crl: %s", err.text);
        crl_soon(crl);
    }
    ctl_call_reply(call, json_pack("{s:o, s:b}", "certificate", revoked_json(e), "listed", listed),
                   false);
}

static void handle_revoke(struct ctl_call *call, json_t *params, void *arg) {
    const struct control *control = arg;
    struct ledger *ledger = control->registrar->ledger;
    const char *given = json_string_value(json_object_get(params, "reason"));
    _cleanup(freep) char *serial = serial_of(json_string_value(json_object_get(params, "serial")));
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    struct estc_error err = {.text = "out of memory"};
    int64_t reason = 0;
    if (given && crl_reason_parse(given, &reason)) {
        ctl_call_error(call, "NoSuchReason", json_pack("{s:s}", "text", crl_reasons_text));
        return;
    }
    int rc =
        serial ? ledger->ops->revoke(ledger, serial, reason, clock_real(), &entry, &err) : -ENOMEM;
    if (rc == -ENOENT)
        ctl_call_error(call, "NoSuchCertificate", json_pack("{s:s}", "serial", serial));
    else if (rc == -EALREADY)
        ctl_call_error(call, "AlreadyRevoked", json_pack("{s:s}", "text", err.text));
    else if (rc)
        ledger_failed(call, &err);
    else
        revoked(control, call, &entry);
}

static void handle_load(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    const struct control *control = arg;
    struct estc_listener_counts counts;
    estc_listener_count(control->listener, &counts);
    ctl_call_reply(call, load_json(&counts), false);
}

/* --- the table --- */

static const struct ctl_field pending_in[] = {
    {"all", CTL_BOOL, .optional = true}, {"after", CTL_INT, .optional = true}, {NULL}};
static const struct ctl_field pending_out[] = {
    {"requests", CTL_OBJECTS, .type_name = "Request"}, {"more", CTL_BOOL}, {NULL}};
static const struct ctl_field id_field[] = {{"id", CTL_INT}, {NULL}};
static const struct ctl_field reject_in[] = {
    {"id", CTL_INT}, {"reason", CTL_STRING, .optional = true}, {NULL}};
static const struct ctl_field request_out[] = {{"request", CTL_OBJECT, .type_name = "Request"},
                                               {NULL}};
static const struct ctl_field already_fields[] = {{"id", CTL_INT}, {"text", CTL_STRING}, {NULL}};
static const struct ctl_field text_field[] = {{"text", CTL_STRING}, {NULL}};
static const struct ctl_field group_field[] = {{"group", CTL_STRING}, {NULL}};

static const struct ctl_field revoke_in[] = {
    {"serial", CTL_STRING}, {"reason", CTL_STRING, .optional = true}, {NULL}};
static const struct ctl_field revoke_out[] = {
    {"certificate", CTL_OBJECT, .type_name = "Certificate"}, {"listed", CTL_BOOL}, {NULL}};
static const struct ctl_field serial_field[] = {{"serial", CTL_STRING}, {NULL}};

static const struct ctl_method methods[] = {
    {.name = "Pending",
     .in = pending_in,
     .out = pending_out,
     .handle = handle_pending,
     .doc = "Requests that wait for approval, or all; oldest first, those after an id, so many at "
            "a time."},
    {.name = "Show",
     .in = id_field,
     .out = request_out,
     .handle = handle_show,
     .doc = "One of "
            "them."},
    {.name = "Approve",
     .changes = true,
     .in = id_field,
     .out = request_out,
     .handle = handle_approve,
     .doc = "The device gets a certificate when it asks again."},
    {.name = "Reject",
     .changes = true,
     .in = reject_in,
     .out = request_out,
     .handle = handle_reject,
     .doc = "The device is refused when it asks again, and is told the reason."},
    {.name = "Revoke",
     .changes = true,
     .in = revoke_in,
     .out = revoke_out,
     .handle = handle_revoke,
     .doc = "A certificate counts no more; listed: the CRL that says so is written. The reason is "
            "one of RFC 5280, like keyCompromise."},
    {.name = "Load",
     .out = load_fields,
     .handle = handle_load,
     .doc = "How much of each limit is in use, and how often it was in the way."},
    {NULL},
};

static const struct ctl_error_type errors[] = {
    {"NoSuchRequest", id_field, "There is no request of that id."},
    {"AlreadyDecided", already_fields, "The request has been decided so, or has its certificate."},
    {"NoSuchCertificate", serial_field, "None of that serial number was issued here."},
    {"AlreadyRevoked", text_field, "The certificate is revoked already."},
    {"NoSuchReason", text_field, "The reason is none of these."},
    {"LedgerFailed", text_field, "The ledger cannot be read or written."},
    {"NotAllowed", group_field, "Deciding needs membership of this group."},
    {NULL},
};

const struct ctl_interface registrar_interface = {
    .name = "org.estcd.registrar",
    .doc = "Requests for certificates that somebody has to decide on.",
    .types = types,
    .methods = methods,
    .errors = errors,
};

static const struct ctl_service service = {
    .vendor = "the estcd authors",
    .product = "est-registrar",
    .version = ESTC_VERSION,
    .url = "https://www.rfc-editor.org/rfc/rfc9148",
    .interface = &registrar_interface,
    .read_group = "est-registrar",
    .change_group = "est-registrar-admin",
};

/* --- life --- */

struct control *control_free(struct control *control) {
    if (!control)
        return NULL;
    ctlserver_free(control->server);
    free(control);
    return NULL;
}

int control_new(sd_event *event, struct registrar *registrar, struct estc_listener *listener,
                struct hold *hold, struct control **out, struct estc_error *err) {
    struct control *control = calloc(1, sizeof(*control));
    if (!control)
        return estc_error_set(err, -ENOMEM, "out of memory");
    control->registrar = registrar;
    control->listener = listener;
    control->hold = hold;
    int rc = ctlserver_new(event, registrar->config->control_socket, -1, &service, control,
                           &control->server, err);
    if (rc) {
        control_free(control);
        return rc;
    }
    *out = control;
    return 0;
}
