/* SPDX-License-Identifier: BSD-2-Clause */
/* subjectAltName entries as text (RFC 5280 section 4.2.1.6), both ways. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

#define DNS_NAME_MAX 253
#define DNS_LABEL_MAX 63
#define SAN_VALUE_MAX 1024

/* Each check: NULL, or what is wrong. */

static const char *dns_fault(const char *value) {
    if (strlen(value) > DNS_NAME_MAX)
        return "longer than 253 characters";
    const char *label = strncmp(value, "*.", 2) == 0 ? value + 2 : value;
    for (const char *p = label;; p++) {
        if (*p && *p != '.') {
            if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
                return "not a host name (write an international one as xn--...)";
            continue;
        }
        size_t n = (size_t)(p - label);
        if (n == 0 || n > DNS_LABEL_MAX || label[0] == '-' || label[n - 1] == '-')
            return "has an empty, too long or hyphen-ended part";
        if (!*p)
            return NULL;
        label = p + 1;
    }
}

static bool is_graphic(const char *value) {
    for (; *value; value++)
        if (!isgraph((unsigned char)*value) || (unsigned char)*value > 0x7e)
            return false;
    return true;
}

static const char *uri_fault(const char *value) {
    size_t scheme = 0;
    while (isalnum((unsigned char)value[scheme]) ||
           (scheme > 0 && value[scheme] && strchr("+-.", value[scheme])))
        scheme++;
    if (!isalpha((unsigned char)value[0]) || value[scheme] != ':' || !value[scheme + 1] ||
        !is_graphic(value))
        return "not a URI (SCHEME:REST, ASCII without spaces)";
    return NULL;
}

static const char *email_fault(const char *value) {
    const char *at = strchr(value, '@');
    if (!at || at == value || !is_graphic(value))
        return "not an address (LOCAL@HOST)";
    return dns_fault(at + 1);
}

static const struct san_kind {
    const char *prefix;
    int type; /* of GENERAL_NAME */
    const char *(*fault)(const char *value);
} san_kinds[] = {
    {"DNS:", GEN_DNS, dns_fault},
    {"IP:", GEN_IPADD, NULL}, /* a2i_IPADDRESS() judges it */
    {"URI:", GEN_URI, uri_fault},
    {"email:", GEN_EMAIL, email_fault},
};

static int san_bad(const char *text, const char *why, struct estc_error *err) {
    return estc_error_set(err, ESTC_E_CONFIG, "subjectAltName '%s': %s", text, why);
}

/* The ASN.1 value of one entry; NULL when an address is none or memory is out. */
static ASN1_STRING *san_value(const struct san_kind *kind, const char *value) {
    if (kind->type == GEN_IPADD)
        return a2i_IPADDRESS(value);
    ASN1_STRING *string = ASN1_IA5STRING_new();
    if (string && ASN1_STRING_set(string, value, (int)strlen(value)))
        return string;
    ASN1_STRING_free(string);
    return NULL;
}

int estc_san_parse(const char *text, GENERAL_NAME **out, struct estc_error *err) {
    const struct san_kind *kind = NULL;
    for (size_t i = 0; i < sizeof(san_kinds) / sizeof(san_kinds[0]) && !kind; i++)
        if (text_same(text, san_kinds[i].prefix, strlen(san_kinds[i].prefix)))
            kind = &san_kinds[i];
    if (!kind)
        return san_bad(text, "begin it with DNS:, IP:, URI: or email:", err);
    const char *value = text + strlen(kind->prefix);
    if (!*value || strlen(value) > SAN_VALUE_MAX)
        return san_bad(text, "the value is empty or longer than 1024 characters", err);
    const char *fault = kind->fault ? kind->fault(value) : NULL;
    if (fault)
        return san_bad(text, fault, err);
    _cleanup(general_name_freep) GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *string = name ? san_value(kind, value) : NULL;
    ossl_forget();
    if (!string && name && kind->type == GEN_IPADD)
        return san_bad(text, "not an IPv4 or IPv6 address", err);
    if (!string)
        return estc_error_set(err, -ENOMEM, "out of memory");
    GENERAL_NAME_set0_value(name, kind->type, string);
    *out = TAKE(name);
    return 0;
}

static char *string_text(const char *prefix, const ASN1_STRING *string) {
    _cleanup(freep) char *clean = text_clean(ASN1_STRING_get0_data(string),
                                             (size_t)ASN1_STRING_length(string), NAME_TEXT_MAX);
    return clean ? text_format("%s%s", prefix, clean) : NULL;
}

/* Written out here, because OpenSSL prints addresses in several ways and inet_ntop() is POSIX. */
static char *ip_text(const ASN1_OCTET_STRING *address) {
    const unsigned char *a = ASN1_STRING_get0_data(address);
    int len = ASN1_STRING_length(address);
    if (len == 4)
        return text_format("IP:%d.%d.%d.%d", a[0], a[1], a[2], a[3]);
    if (len != 16)
        return text_format("IP:?");
    unsigned group[8];
    int best = -1, best_len = 1; /* the longest run of two zero groups or more (RFC 5952) */
    for (int i = 0, run = 0; i < 8; i++) {
        group[i] = (unsigned)(a[2 * i] << 8 | a[2 * i + 1]);
        run = group[i] ? 0 : run + 1;
        if (run > best_len) {
            best_len = run;
            best = i - run + 1;
        }
    }
    char text[40];
    size_t used = 0;
    for (int i = 0; i < 8;) {
        if (i == best) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "::");
            i += best_len;
            continue;
        }
        const char *colon = i > 0 && i != best + best_len ? ":" : "";
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%x", colon, group[i++]);
    }
    return text_format("IP:%s", text);
}

static char *oid_text(const char *prefix, const ASN1_OBJECT *oid) {
    char dotted[128]; /* cut when longer */
    if (OBJ_obj2txt(dotted, sizeof(dotted), oid, 1) <= 0)
        strcpy(dotted, "?");
    ossl_forget();
    return text_format("%s%s", prefix, dotted);
}

char *san_text(const GENERAL_NAME *name) {
    switch (name->type) {
    case GEN_DNS:
        return string_text("DNS:", name->d.dNSName);
    case GEN_URI:
        return string_text("URI:", name->d.uniformResourceIdentifier);
    case GEN_EMAIL:
        return string_text("email:", name->d.rfc822Name);
    case GEN_IPADD:
        return ip_text(name->d.iPAddress);
    case GEN_OTHERNAME:
        return oid_text("other:", name->d.otherName->type_id);
    case GEN_RID:
        return oid_text("RID:", name->d.registeredID);
    case GEN_DIRNAME: {
        _cleanup(freep) char *text = estc_name_text(name->d.directoryName);
        return text ? text_format("dirName:%s", text) : NULL;
    }
    default: /* X.400 and EDI, of OpenSSL's enumeration, not ours */
        return text_format("other:?");
    }
}

bool san_has(const GENERAL_NAMES *names, const GENERAL_NAME *name) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), (GENERAL_NAME *)(uintptr_t)name) == 0)
            return true;
    return false;
}
