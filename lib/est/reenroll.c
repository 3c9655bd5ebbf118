/* SPDX-License-Identifier: BSD-2-Clause */
/* The identity rule of /sren (RFC 7030 section 4.2.2). Compares DER, never printed names. Holds for
 * requests with a ChangeSubjectName, too, whose new names stand beside the old ones. */
#include <stdbool.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/server.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"

static bool same_name(const X509_NAME *a, const X509_NAME *b) {
    const unsigned char *a_der = NULL, *b_der = NULL;
    size_t a_len = 0, b_len = 0;
    return X509_NAME_get0_der(a, &a_der, &a_len) && X509_NAME_get0_der(b, &b_der, &b_len) &&
           a_len == b_len && memcmp(a_der, b_der, a_len) == 0;
}

int estc_reenroll_check(const X509_REQ *csr, X509 *peer, struct estc_error *err) {
    if (!same_name(X509_REQ_get_subject_name(csr), X509_get_subject_name(peer)))
        return estc_error_set(err, ESTC_E_REJECTED,
                              "the subject is not that of the client certificate: ask for "
                              "another by ChangeSubjectName, or enroll with /sen");
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    int rc = csr_extensions(csr, &asked, err);
    if (rc)
        return rc;
    int at = X509v3_get_ext_by_NID(asked, NID_subject_alt_name, -1);
    int had = X509_get_ext_by_NID(peer, NID_subject_alt_name, -1);
    bool same = (at < 0) == (had < 0);
    if (same && at >= 0)
        same = ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509v3_get_ext(asked, at)),
                                     X509_EXTENSION_get_data(X509_get_ext(peer, had))) == 0;
    if (!same)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "the subjectAltName is not that of the client certificate: ask for "
                              "another by ChangeSubjectName, or enroll with /sen");
    return 0;
}
