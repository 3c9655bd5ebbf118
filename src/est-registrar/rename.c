/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other names for a certificate: a request with a ChangeSubjectName becomes one that simply has the
 * new names. Whatever judges, records, shows and issues then sees these and no others, and cannot
 * grant one thing and issue another. Judges nothing itself.
 */
#include "rename.h"

#include <errno.h>

#include <openssl/x509v3.h>

#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"
#include "pkix/ossl.h"

static int out_of_memory(struct estc_error *err) {
    return ossl_error(err, -ENOMEM, "out of memory");
}

/* The extensions asked for, with another subjectAltName or none. */
static int replace_sans(const X509_REQ *csr, const GENERAL_NAMES *sans, bool critical,
                        STACK_OF(X509_EXTENSION) * *out, struct estc_error *err) {
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    int rc = csr_extensions(csr, &asked, err);
    if (rc)
        return rc;
    X509_EXTENSION_free(
        X509v3_delete_ext(asked, X509v3_get_ext_by_NID(asked, NID_subject_alt_name, -1)));
    if (sans) {
        X509_EXTENSION *ext =
            X509V3_EXT_i2d(NID_subject_alt_name, critical, (void *)(uintptr_t)sans);
        if (!ext || !sk_X509_EXTENSION_push(asked, ext)) {
            X509_EXTENSION_free(ext);
            return out_of_memory(err);
        }
    }
    *out = TAKE(asked);
    return 0;
}

int rename_apply(const X509_REQ *csr, X509_REQ **out, struct estc_error *err) {
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    int rc = estc_csr_new_names(csr, &subject, &sans, err);
    if (rc || !subject) {
        *out = NULL;
        return rc;
    }
    bool critical = X509_NAME_entry_count(subject) == 0; /* RFC 5280 section 4.2.1.6 */
    rc = replace_sans(csr, sans, critical, &asked, err);
    if (rc)
        return rc;
    _cleanup(x509_req_freep) X509_REQ *renamed = X509_REQ_dup(csr);
    if (!renamed || !X509_REQ_set_subject_name(renamed, subject))
        return out_of_memory(err);
    /* All attributes but the extensions have been looked at by now, or are nobody's business. */
    while (X509_REQ_get_attr_count(renamed) > 0)
        X509_ATTRIBUTE_free(X509_REQ_delete_attr(renamed, 0));
    if (sk_X509_EXTENSION_num(asked) > 0 && !X509_REQ_add_extensions(renamed, asked))
        return out_of_memory(err);
    *out = TAKE(renamed);
    return 0;
}
