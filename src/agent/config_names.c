/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What identities ask for: the names judged, and all of it as one number. This is what of a
 * configuration needs OpenSSL, which keeps 2 MB once it is awake; see config_apart.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <estc/buf.h>
#include <estc/csr.h>
#include <estc/url.h>

#include "agent/config_internal.h"
#include "agent/digest.h"
#include "base/cleanup_ossl.h"
#include "base/text.h"

static void judge_names(const struct config_identity *i, struct conf_errors *errors) {
    const char *id = config_spoken_id(i);
    struct estc_error err = {0};
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    if (i->subject && estc_subject_parse(i->subject, &subject, &err))
        conf_error(errors, &i->origin, "%s: subject: %s", id, err.text);
    for (char *const *text = i->subject_alt_names; text && *text; text++) {
        _cleanup(general_name_freep) GENERAL_NAME *name = NULL;
        if (estc_san_parse(*text, &name, &err))
            conf_error(errors, &i->origin, "%s: subject_alt_names: %s", id, err.text);
    }
    if ((!i->subject || !*i->subject) && !i->subject_alt_names)
        conf_error(errors, &i->origin,
                   "%s: no name to ask for: give it a subject or subject_alt_names", id);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Over all that is asked for, or with sans NULL over all but the names. NULL when out of memory. */
static char *digest_request(const struct config_identity *i, const char *const *sans) {
    _cleanup(estc_buf_clear) struct estc_buf all = {0};
    _cleanup(estc_url_clear) struct estc_url server = {0};
    if (i->urls)
        estc_url_parse(i->urls[0], &server, NULL); /* if it does not fit, nothing of this counts */
    int rc = digest_add(&all, server.root);
    if (!rc)
        rc = digest_add(&all, i->label);
    if (!rc && sans)
        rc = digest_add(&all, i->subject);
    if (!rc)
        rc = digest_add(&all, estc_key_type_name((enum estc_key_type)i->key_type));
    for (; !rc && sans && *sans; sans++)
        rc = digest_add(&all, *sans);
    /* Not of the form of a subjectAltName; absent where it always was. */
    if (!rc && i->key_origin == CONFIG_ORIGIN_SERVER)
        rc = digest_add(&all, "key of the server");
    if (!rc && i->key_origin == CONFIG_ORIGIN_TPM)
        rc = digest_add(&all, "key of the TPM");
    return rc ? NULL : digest_text(&all);
}

static int make_digests(struct config_identity *i) {
    size_t n = text_list_len(i->subject_alt_names);
    _cleanup(freep) const char **sorted = calloc(n + 1, sizeof(*sorted));
    if (!sorted)
        return -ENOMEM;
    for (size_t k = 0; k < n; k++)
        sorted[k] = i->subject_alt_names[k];
    qsort(sorted, n, sizeof(*sorted), compare_texts);
    i->request_digest = digest_request(i, sorted);
    i->rest_digest = digest_request(i, NULL);
    return i->request_digest && i->rest_digest ? config_deploy_complete(&i->deploy) : -ENOMEM;
}

int config_names(const struct config_named *all, size_t n) {
    int rc = 0;
    for (size_t k = 0; !rc && k < n; k++) {
        judge_names(all[k].identity, all[k].errors);
        rc = make_digests(all[k].identity);
    }
    return rc;
}
