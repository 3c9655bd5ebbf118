/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts of the explicit anchors: out of the certificates (in a worker), to JSON, and back from JSON
 * (in the manager). Opens no file.
 */
#include "trustfacts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/cert.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "ctl/json.h"

#define FORMAT 1
#define TEXT_MAX 1024

void trust_facts_clear(struct trust_facts *facts) {
    free(facts->origin);
    free(facts->url);
    free(facts->configured);
    for (size_t i = 0; i < TRUST_ANCHORS_SHOWN; i++) {
        free(facts->anchors[i].subject);
        free(facts->anchors[i].sha256);
    }
    *facts = (struct trust_facts){0};
}

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

static int add_anchor(X509 *cert, struct trust_facts *out, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(cert, &facts, err);
    if (rc)
        return rc;
    if (out->until == 0 || facts.not_after < out->until)
        out->until = facts.not_after;
    if (out->n_anchors < TRUST_ANCHORS_SHOWN)
        out->anchors[out->n_anchors++] =
            (struct trust_anchor){TAKE(facts.subject), TAKE(facts.sha256), facts.not_after};
    return 0;
}

int trust_facts_make(const struct estc_trust *trust, const char *origin, const char *url,
                     const char *configured, struct trust_facts *out, struct estc_error *err) {
    _cleanup(trust_facts_clear) struct trust_facts facts = {
        .origin = strdup(origin), .url = strdup(url), .configured = strdup(configured)};
    if (!facts.origin || !facts.url || !facts.configured)
        return out_of_memory(err);
    const STACK_OF(X509) *anchors = estc_trust_anchors(trust);
    int rc = 0;
    for (int i = 0; !rc && i < sk_X509_num(anchors); i++)
        rc = add_anchor(sk_X509_value(anchors, i), &facts, err);
    if (rc)
        return rc;
    *out = facts;
    facts = (struct trust_facts){0};
    return 0;
}

json_t *trust_facts_to_json(const struct trust_facts *facts) {
    json_t *anchors = json_array();
    _cleanup(json_freep) json_t *json =
        json_pack("{s:i, s:I, s:I, s:I, s:s, s:s, s:s, s:o}", "format", FORMAT, "generation",
                  (json_int_t)facts->generation, "received_at", (json_int_t)facts->received_at,
                  "until", (json_int_t)facts->until, "origin", facts->origin, "url", facts->url,
                  "configured", facts->configured, "anchors", anchors);
    for (size_t i = 0; json && i < facts->n_anchors; i++) {
        const struct trust_anchor *a = &facts->anchors[i];
        if (json_array_append_new(anchors,
                                  json_pack("{s:s, s:s, s:I}", "subject", a->subject, "sha256",
                                            a->sha256, "not_after", (json_int_t)a->not_after)) < 0)
            return NULL;
    }
    return TAKE(json);
}

/* --- back --- */

static int bad(struct estc_error *err, const char *member) {
    return estc_error_set(err, ESTC_E_MALFORMED,
                          "trust: member '%s' is missing or not what it should be", member);
}

static int copy_text(const json_t *json, const char *member, char **out, struct estc_error *err) {
    const json_t *value = json_object_get(json, member);
    if (!json_is_string(value) || json_string_length(value) > TEXT_MAX)
        return bad(err, member);
    *out = text_clean(json_string_value(value), json_string_length(value), TEXT_MAX);
    return *out ? 0 : out_of_memory(err);
}

static int copy_number(const json_t *json, const char *member, int64_t min, int64_t *out,
                       struct estc_error *err) {
    const json_t *value = json_object_get(json, member);
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > CLOCK_LAST)
        return bad(err, member);
    *out = json_integer_value(value);
    return 0;
}

static int copy_anchors(const json_t *list, struct trust_facts *out, struct estc_error *err) {
    if (!json_is_array(list) || json_array_size(list) > TRUST_ANCHORS_SHOWN)
        return bad(err, "anchors");
    int rc = 0;
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct trust_anchor *anchor = &out->anchors[out->n_anchors++];
        rc = copy_text(item, "subject", &anchor->subject, err);
        if (!rc)
            rc = copy_text(item, "sha256", &anchor->sha256, err);
        if (!rc)
            rc = copy_number(item, "not_after", -CLOCK_LAST, &anchor->not_after, err);
    }
    return rc;
}

int trust_facts_from_json(const json_t *json, struct trust_facts *out, struct estc_error *err) {
    _cleanup(trust_facts_clear) struct trust_facts facts = {0};
    const json_t *format = json_object_get(json, "format");
    if (!json_is_integer(format) || json_integer_value(format) != FORMAT)
        return bad(err, "format");
    int rc = copy_number(json, "generation", 1, &facts.generation, err);
    if (!rc)
        rc = copy_number(json, "received_at", 0, &facts.received_at, err);
    if (!rc)
        rc = copy_number(json, "until", -CLOCK_LAST, &facts.until, err);
    if (!rc)
        rc = copy_text(json, "origin", &facts.origin, err);
    if (!rc)
        rc = copy_text(json, "url", &facts.url, err);
    if (!rc)
        rc = copy_text(json, "configured", &facts.configured, err);
    if (!rc)
        rc = copy_anchors(json_object_get(json, "anchors"), &facts, err);
    if (rc)
        return rc;
    *out = facts;
    facts = (struct trust_facts){0};
    return 0;
}
