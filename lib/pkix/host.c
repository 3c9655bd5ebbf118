/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a certificate speaks for: a host, by its subjectAltName alone (RFC 7925 section 4.4.1: no
 * common name, no wildcard), or the registration authority of its CA (RFC 6402 section 2.10). Says
 * nothing of whether the certificate can be believed: that is trust.c.
 */
#include <estc/cert.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/url.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/ossl.h"

/* Without the scope of a link-local address and the dot of an absolute name; *address is what
 * iPAddress would have, NULL for a name. */
static char *plain_host(const char *host, ASN1_OCTET_STRING **address) {
    size_t len = strcspn(host, "%");
    _cleanup(freep) char *plain = text_format("%.*s", (int)len, host);
    if (!plain)
        return NULL;
    *address = a2i_IPADDRESS(plain);
    ossl_forget();
    if (*address || host[len]) /* a name has no scope */
        return *address ? TAKE(plain) : NULL;
    if (len > 1 && plain[len - 1] == '.')
        plain[len - 1] = '\0';
    return TAKE(plain);
}

static bool same_text(const char *a, const char *b) {
    return strlen(a) == strlen(b) && text_same(a, b, strlen(a));
}

/* Addresses have many spellings, and are compared as what they mean. */
static bool same_host(const char *host, const ASN1_OCTET_STRING *address, const char *other) {
    _cleanup(asn1_string_freep) ASN1_OCTET_STRING *theirs = NULL;
    _cleanup(freep) char *plain = plain_host(other, &theirs);
    if (!plain || !theirs != !address)
        return false;
    return address ? ASN1_OCTET_STRING_cmp(address, theirs) == 0 : same_text(host, plain);
}

/* The authority of a coaps URI (RFC 7252 section 9.1.3.3); its path is nobody's name. */
static bool uri_matches(const ASN1_IA5STRING *uri, const char *host,
                        const ASN1_OCTET_STRING *address, uint16_t port) {
    size_t len = (size_t)ASN1_STRING_length(uri);
    const unsigned char *data = ASN1_STRING_get0_data(uri);
    struct estc_url url = {0};
    if (len == 0 || memchr(data, 0, len))
        return false;
    _cleanup(freep) char *text = text_format("%.*s", (int)len, (const char *)data);
    if (!text || estc_url_parse(text, &url, NULL))
        return false;
    bool same = url.port == (port ? port : ESTC_DEFAULT_PORT) && same_host(host, address, url.host);
    estc_url_clear(&url);
    return same;
}

static bool dns_matches(const ASN1_IA5STRING *name, const char *host) {
    size_t len = (size_t)ASN1_STRING_length(name);
    return len == strlen(host) && len > 0 &&
           text_same((const char *)ASN1_STRING_get0_data(name), host, len);
}

static bool name_matches(const GENERAL_NAME *name, const char *host,
                         const ASN1_OCTET_STRING *address, uint16_t port) {
    switch (name->type) {
    case GEN_DNS:
        return !address && dns_matches(name->d.dNSName, host);
    case GEN_IPADD:
        return address && ASN1_OCTET_STRING_cmp(name->d.iPAddress, address) == 0;
    case GEN_URI:
        return uri_matches(name->d.uniformResourceIdentifier, host, address, port);
    default: /* of OpenSSL's enumeration, not ours */
        return false;
    }
}

bool estc_cert_names_host(const X509 *cert, const char *host, uint16_t port) {
    _cleanup(asn1_string_freep) ASN1_OCTET_STRING *address = NULL;
    _cleanup(freep) char *plain = plain_host(host, &address);
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    ossl_forget(); /* absent, twice or broken: it names nobody */
    if (!plain || (!address && strchr(plain, '*')))
        return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (name_matches(sk_GENERAL_NAME_value(names, i), plain, address, port))
            return true;
    return false;
}

bool estc_cert_is_ra(const X509 *cert) {
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    bool found = false;
    for (int i = 0; !found && i < sk_ASN1_OBJECT_num(usages); i++)
        found = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i)) == NID_cmcRA;
    EXTENDED_KEY_USAGE_free(usages);
    ossl_forget();
    return found;
}
