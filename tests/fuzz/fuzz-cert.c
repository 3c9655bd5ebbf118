/* SPDX-License-Identifier: BSD-2-Clause */
/* One certificate in DER or many in PEM, and everything that is ever asked of one. */
#include "fuzz.h"

#include <string.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"

/* What goes to terminals and journals has no control characters. */
static void check_text(const char *text) {
    for (; text && *text; text++)
        FUZZ_CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void look_at(X509 *cert) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    if (estc_cert_facts_get(cert, &facts, NULL))
        return;
    check_text(facts.subject);
    check_text(facts.issuer);
    for (char **san = facts.sans; san && *san; san++)
        check_text(*san);
    FUZZ_CHECK(strlen(facts.sha256) == 64);
    (void)estc_cert_is_self_signed(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    const unsigned char *p = data;
    _cleanup(x509_freep) X509 *cert = d2i_X509(NULL, &p, (long)len);
    if (cert)
        look_at(cert);
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = NULL;
    if (estc_certs_from_pem(data, len, &list, NULL) == 0)
        for (int i = 0; i < sk_X509_num(list); i++)
            look_at(sk_X509_value(list, i));
    return 0;
}
