/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_names() for a process that lives for years and leaves OpenSSL asleep: a child does it, and
 * sends back what it found. A child that fails is an error like any other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "base/cleanup.h"
#include "common/apart.h"

#define ANSWER_MAX (64 * 1024 * 1024)
#define N_DIGESTS 3

struct work {
    const struct config_named *all;
    size_t n;
};

/* The answer: for each identity its digests and then its errors, each text ended by a NUL, and an
 * empty one at the end. */
static int put(struct estc_buf *out, const char *text) {
    return estc_buf_append(out, text ? text : "", text ? strlen(text) + 1 : 1);
}

static int names_of(struct config_identity *identity, struct estc_buf *out) {
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    const struct config_named named = {identity, &errors};
    int rc = config_names(&named, 1);
    const char *const digests[N_DIGESTS] = {identity->request_digest, identity->rest_digest,
                                            identity->deploy.digest};
    for (size_t k = 0; !rc && k < N_DIGESTS; k++)
        rc = put(out, digests[k]);
    for (char *const *line = errors.lines; !rc && line && *line; line++)
        rc = put(out, *line);
    return rc ? rc : put(out, "");
}

static int work(struct estc_buf *out, void *arg) {
    const struct work *w = arg;
    int rc = 0;
    for (size_t k = 0; !rc && k < w->n; k++)
        rc = names_of(w->all[k].identity, out);
    return rc;
}

/* The next text of the answer; "" when there is none. */
static const char *take(const struct estc_buf *answer, size_t *at) {
    const char *text = *at < answer->len ? (const char *)answer->data + *at : "";
    *at += strlen(text) + 1;
    return text;
}

static int take_one(const struct config_named *named, const struct estc_buf *answer, size_t *at) {
    struct config_identity *i = named->identity;
    char **const places[N_DIGESTS] = {&i->request_digest, &i->rest_digest, &i->deploy.digest};
    for (size_t k = 0; k < N_DIGESTS; k++) {
        const char *text = take(answer, at);
        *places[k] = *text ? strdup(text) : NULL;
        if (*text && !*places[k])
            return -ENOMEM;
    }
    for (const char *line = take(answer, at); *line; line = take(answer, at))
        conf_error(named->errors, NULL, "%s", line);
    return i->request_digest && i->rest_digest ? 0 : -EIO;
}

int config_names_apart(const struct config_named *all, size_t n) {
    _cleanup(estc_buf_clear) struct estc_buf answer = {0};
    struct work w = {all, n};
    struct estc_error err = {0};
    size_t at = 0;
    int rc = n == 0 ? 0 : apart_run(work, &w, ANSWER_MAX, &answer, &err);
    for (size_t k = 0; !rc && k < n; k++)
        rc = take_one(&all[k], &answer, &at);
    for (size_t k = 0; rc && rc != -ENOMEM && k < n; k++)
        if (k == 0 || all[k].errors != all[k - 1].errors)
            conf_error(all[k].errors, NULL, "names cannot be judged: %s",
                       *err.text ? err.text : "the answer of a child process is cut off");
    return rc == -ENOMEM ? rc : 0;
}
