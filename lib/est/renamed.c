/* SPDX-License-Identifier: BSD-2-Clause */
/* What a renewal under other names has brought: the new ones, or the old ones once more. Compares
 * what names mean: a CA may write a string in another type. */
#include <stdbool.h>

#include <openssl/x509v3.h>

#include <estc/client.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

static bool has_all(const GENERAL_NAMES *these, const GENERAL_NAMES *those) {
    for (int i = 0; i < sk_GENERAL_NAME_num(those); i++)
        if (!san_has(these, sk_GENERAL_NAME_value(those, i)))
            return false;
    return true;
}

static bool has_names(X509 *cert, const X509_NAME *subject, const GENERAL_NAMES *sans) {
    _cleanup(general_names_freep) GENERAL_NAMES *own =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool same = X509_NAME_cmp(X509_get_subject_name(cert), subject) == 0 && has_all(own, sans) &&
                has_all(sans, own);
    ossl_forget();
    return same;
}

int estc_client_check_names(const void *csr, size_t csr_len, X509 *issued, struct estc_error *err) {
    _cleanup(x509_req_freep) X509_REQ *req = NULL;
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    int rc = csr_read(csr, csr_len, &req, err);
    if (!rc)
        rc = estc_csr_new_names(req, &subject, &sans, err);
    if (!rc)
        rc = csr_extensions(req, &asked, err);
    if (rc || !subject || has_names(issued, subject, sans))
        return rc;
    _cleanup(general_names_freep) GENERAL_NAMES *old =
        X509V3_get_d2i(asked, NID_subject_alt_name, NULL, NULL);
    if (!has_names(issued, X509_REQ_get_subject_name(req), old))
        return 0;
    return estc_error_set(err, ESTC_E_MISMATCH,
                          "the certificate has its old names, not those that ChangeSubjectName "
                          "asked for: the server does not know it");
}
