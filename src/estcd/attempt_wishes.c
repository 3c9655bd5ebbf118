/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the server wishes to see in a request (/att), and what of it goes in. No answer, and no
 * answer that makes sense, is an obstacle to enrolling (RFC 8951 section 4): then the request is
 * what is configured. Every wish is logged, granted or not, with the reason. Writes nothing.
 */
#include "attempt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"

#define PATIENCE 4 /* /att may take this part of the time that is left */

static void log_wish(const struct attempt *a, const char *text) {
    _cleanup(freep) char *field = text_format("ESTC_ID=%s", a->identity->id);
    const char *const fields[] = {field, NULL};
    journal_write(ESTC_LOG_INFO, field ? fields : NULL, "%s: the server's wishes: %s",
                  a->identity->id, text);
}

/* The attributes; empty when there are none to be had. Only what ends the attempt is an error. */
static int ask(struct attempt *a, struct estc_csrattrs *attrs, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    struct estc_wait wait = a->wait;
    int64_t now = clock_boot_ms();
    wait.deadline = now + (wait.deadline - now) / PATIENCE;
    int rc = estc_client_csrattrs(a->client, &wait, &der, err);
    if (!rc && der.len > 0)
        rc = estc_csrattrs_decode(der.data, der.len, attrs, err);
    if (rc == -ENOMEM || rc == ESTC_E_CANCELLED)
        return rc;
    if (rc)
        log_wish(a, err->text);
    return 0;
}

static int follow(struct attempt *a, const struct estc_csrattrs *attrs, struct estc_error *err) {
    const struct config_identity *i = a->identity;
    const struct wishes_input in = {
        .attrs = attrs,
        .obey =
            i->pop == CONFIG_POP_NEVER ? i->obey_kinds & ~WISHES_BIT(WISHES_POP) : i->obey_kinds,
        .key_type = a->wishes.key_type,
        .key_made = a->pending.key != NULL,
        .subject = i->subject,
        .sans = (const char *const *)i->subject_alt_names,
        .renew = a->renaming ? NULL : a->renewed,
        .own = X509_get_subject_name(a->credentials.cert),
    };
    struct wishes_plan plan = {0};
    int rc = wishes_follow(&in, &plan, err);
    if (rc)
        return rc;
    a->wishes = plan;
    for (char *const *line = plan.lines; line && *line; line++)
        log_wish(a, *line);
    return 0;
}

int attempt_attributes(struct attempt *a, char **detail, struct estc_error *err) {
    enum estc_key_type made;
    a->wishes.key_type = (enum estc_key_type)a->identity->key_type;
    if (a->pending.key && !estc_key_type_of(a->pending.key, &made))
        a->wishes.key_type = made;
    const char *why = a->identity->obey_kinds == 0 ? "not asked for: obey is none"
                      : attempt_resends(a)         ? "not asked for: the request is there"
                                                   : NULL;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    int rc = why ? 0 : ask(a, &attrs, err);
    if (!rc && !why)
        rc = follow(a, &attrs, err);
    if (rc)
        return rc;
    size_t granted = a->wishes.granted, all = granted + a->wishes.denied;
    *detail = why        ? strdup(why)
              : all == 0 ? strdup("no wishes")
                         : text_format("%zu of %zu wishes granted", granted, all);
    return *detail ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}
