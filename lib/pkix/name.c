/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distinguished names as text (RFC 4514), both ways. The parser reads a configuration, so it says
 * what is wrong and where; the printer shows what peers wrote, so its output is escaped and
 * bounded. Values in hexadecimal ("#04...") are printed for unknown types but not parsed.
 */
#include "pkix/name.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <estc/cert.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/ossl.h"

#define SUBJECT_TEXT_MAX 4096
#define SUBJECT_PARTS_MAX 64
#define SUBJECT_SPECIALS "\"+,;<>\\ #="

static const struct {
    const char *name;
    int nid;
} name_types[] = {
    {"CN", NID_commonName},
    {"O", NID_organizationName},
    {"OU", NID_organizationalUnitName},
    {"C", NID_countryName},
    {"ST", NID_stateOrProvinceName},
    {"L", NID_localityName},
    {"serialNumber", NID_serialNumber},
    {"DC", NID_domainComponent},
    {"UID", NID_userId},
    {"emailAddress", NID_pkcs9_emailAddress},
};

bool name_is_type(const ASN1_OBJECT *type) {
    const unsigned char *der = OBJ_get0_data(type);
    if (OBJ_length(type) == 3 && der[0] == 0x55 && der[1] == 0x04) /* 2.5.4.x */
        return true;
    for (size_t i = 0; i < sizeof(name_types) / sizeof(name_types[0]); i++)
        if (name_types[i].nid == OBJ_obj2nid(type))
            return true;
    return false;
}

/* Where the parser stands. */
struct subject_parser {
    const char *text; /* the whole of it, for messages */
    const char *at;
    struct estc_error *err;
    X509_NAME *name;
    int parts;
};

static int subject_bad(const struct subject_parser *p, const char *part, const char *why) {
    return estc_error_set(p->err, ESTC_E_CONFIG, "subject '%s': %s at '%s'", p->text, why, part);
}

static void skip_spaces(struct subject_parser *p) {
    while (*p->at == ' ')
        p->at++;
}

/* The type before "="; *obj is the caller's to free (a no-op for OpenSSL's own). */
static int parse_type(struct subject_parser *p, ASN1_OBJECT **obj) {
    skip_spaces(p);
    const char *start = p->at;
    size_t len = strcspn(start, "=,+;\\\"");
    if (start[len] != '=')
        return subject_bad(p, start, "no TYPE=VALUE");
    p->at = start + len + 1;
    while (len > 0 && start[len - 1] == ' ')
        len--;
    for (size_t i = 0; i < sizeof(name_types) / sizeof(name_types[0]); i++)
        if (strlen(name_types[i].name) == len && text_same(start, name_types[i].name, len)) {
            *obj = OBJ_nid2obj(name_types[i].nid);
            return 0;
        }
    if (len > 0 && isdigit((unsigned char)*start)) {
        _cleanup(freep) char *oid = text_format("%.*s", (int)len, start);
        if (!oid)
            return estc_error_set(p->err, -ENOMEM, "out of memory");
        *obj = OBJ_txt2obj(oid, 1);
        ossl_forget();
        if (*obj)
            return 0;
    }
    return subject_bad(p, start,
                       "unknown type; use CN, O, OU, C, ST, L, serialNumber, DC, UID, "
                       "emailAddress or a dotted OID");
}

/* One character behind "\": itself if special, or a byte as two hexadecimal digits. */
static int parse_escape(struct subject_parser *p, struct estc_buf *value) {
    const char *start = p->at++;
    if (*p->at && strchr(SUBJECT_SPECIALS, *p->at))
        return estc_buf_append(value, p->at++, 1);
    int high = OPENSSL_hexchar2int((unsigned char)p->at[0]);
    int low = high < 0 ? -1 : OPENSSL_hexchar2int((unsigned char)p->at[1]);
    if (low < 0)
        return subject_bad(p, start, "'\\' wants a special character or two hexadecimal digits");
    unsigned char byte = (unsigned char)(high << 4 | low);
    if (byte == 0)
        return subject_bad(p, start, "a NUL is not taken");
    p->at += 2;
    return estc_buf_append(value, &byte, 1);
}

/* The value up to "," or "+" or the end, without the unescaped spaces around it. */
static int parse_value(struct subject_parser *p, struct estc_buf *value) {
    skip_spaces(p);
    const char *start = p->at;
    size_t solid = 0; /* length up to the last byte that is no unescaped space */
    int rc = 0;
    if (*start == '#')
        return subject_bad(p, start, "a value in hexadecimal is not taken");
    while (!rc && *p->at && *p->at != ',' && *p->at != '+') {
        if (strchr("\";<>", *p->at))
            return subject_bad(p, p->at, "write '\\' before a special character");
        bool space = *p->at == ' ';
        rc = *p->at == '\\' ? parse_escape(p, value) : estc_buf_append(value, p->at++, 1);
        if (!space)
            solid = value->len;
    }
    if (rc == -ENOMEM)
        return estc_error_set(p->err, rc, "out of memory");
    if (rc)
        return rc;
    value->len = solid;
    return solid > 0 ? 0 : subject_bad(p, start, "empty value");
}

/* TYPE=VALUE. The text has the most specific part first and DER has it last, so each new RDN goes
 * to the front; a part behind "+" joins the RDN that is there (set -1: that of the entry before
 * loc). */
static int parse_part(struct subject_parser *p, int in_rdn) {
    const char *start = p->at;
    if (p->parts++ >= SUBJECT_PARTS_MAX)
        return subject_bad(p, start, "too many parts");
    ASN1_OBJECT *obj = NULL;
    _cleanup(estc_buf_clear) struct estc_buf value = {0};
    int rc = parse_type(p, &obj);
    if (!rc)
        rc = parse_value(p, &value);
    if (!rc && !X509_NAME_add_entry_by_OBJ(p->name, obj, MBSTRING_UTF8, value.data, (int)value.len,
                                           in_rdn, in_rdn ? -1 : 0)) {
        rc = ossl_error(p->err, ESTC_E_CONFIG, "subject '%s': value not fit for its type at '%s'",
                        p->text, start);
    }
    ASN1_OBJECT_free(obj);
    return rc;
}

int estc_subject_parse(const char *text, X509_NAME **out, struct estc_error *err) {
    if (strlen(text) > SUBJECT_TEXT_MAX)
        return estc_error_set(err, ESTC_E_CONFIG, "subject longer than %d characters",
                              SUBJECT_TEXT_MAX);
    _cleanup(x509_name_freep) X509_NAME *name = X509_NAME_new();
    if (!name)
        return ossl_error(err, -ENOMEM, "out of memory");
    struct subject_parser p = {.text = text, .at = text, .err = err, .name = name};
    skip_spaces(&p);
    int in_rdn = 0;
    for (bool more = *p.at != '\0'; more;) {
        int rc = parse_part(&p, in_rdn);
        if (rc)
            return rc;
        in_rdn = *p.at == '+' ? in_rdn + 1 : 0;
        more = *p.at != '\0';
        if (more)
            p.at++;
    }
    *out = TAKE(name);
    return 0;
}

bool name_same_text(const ASN1_STRING *a, const ASN1_STRING *b) {
    unsigned char *x = NULL, *y = NULL;
    int x_len = ASN1_STRING_to_UTF8(&x, a), y_len = ASN1_STRING_to_UTF8(&y, b);
    bool same = x_len >= 0 && x_len == y_len && memcmp(x, y, (size_t)x_len) == 0;
    OPENSSL_free(x);
    OPENSSL_free(y);
    ossl_forget();
    return same;
}

char *name_clean_bio(BIO *mem) {
    char *data = NULL;
    long len = BIO_get_mem_data(mem, &data);
    return text_clean(data, len > 0 ? (size_t)len : 0, NAME_TEXT_MAX);
}

char *estc_name_text(const X509_NAME *name) {
    /* RFC 2253's escapes are RFC 4514's; UTF-8 stays readable. */
    unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    _cleanup(bio_freep) BIO *mem = BIO_new(BIO_s_mem());
    bool printed = mem && X509_NAME_print_ex(mem, name, 0, flags) >= 0;
    ossl_forget();
    return printed ? name_clean_bio(mem) : text_format("?");
}
