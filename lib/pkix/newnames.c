/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ChangeSubjectName (RFC 6402 section 2.8): the attribute of a request that asks for other names
 * than those that stand in it. Written and read; whether somebody may have them is for others to
 * say.
 *
 *   ChangeSubjectName ::= SEQUENCE {
 *       subject     Name OPTIONAL,
 *       subjectAlt  [1] GeneralNames OPTIONAL }       -- one of the two at the least
 *
 * The RFC was printed without the [1], and the two could not be told apart (erratum 3943). Programs
 * were written by what was printed; theirs is read as well, since a name is made of SETs and
 * GeneralNames of what has a tag of its own. Written is what the erratum says.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"
#include "pkix/der.h"
#include "pkix/newnames.h"
#include "pkix/ossl.h"

#define OID_CHANGE_SUBJECT_NAME "1.3.6.1.5.5.7.7.36"

static int fail(struct estc_error *err) {
    return ossl_error(err, -ENOMEM, "cannot write a ChangeSubjectName");
}

/* --- writing --- */

/* subjectAlt as the erratum tags it: GeneralNames, but for the identifier. */
static int put_sans(struct der_writer *w, const GENERAL_NAMES *sans) {
    unsigned char *der = NULL;
    int len = i2d_GENERAL_NAMES(sans, &der);
    if (len > 0)
        der[0] = DER_CONTEXT_1;
    der_put(w, der, len > 0 ? (size_t)len : 0);
    OPENSSL_free(der);
    return len > 0 ? w->rc : -ENOMEM;
}

int newnames_add(X509_REQ *req, const X509_NAME *subject, const GENERAL_NAMES *sans,
                 struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    _cleanup(object_freep) ASN1_OBJECT *type = OBJ_txt2obj(OID_CHANGE_SUBJECT_NAME, 1);
    struct der_writer w = {.out = &der};
    const unsigned char *name = NULL;
    size_t len = 0;
    bool any = sk_GENERAL_NAME_num(sans) > 0;
    if (!any && X509_NAME_entry_count(subject) == 0)
        return estc_error_set(err, ESTC_E_CONFIG,
                              "there is no new name: give a subject or a subjectAltName");
    if (!type || !X509_NAME_get0_der(subject, &name, &len))
        return fail(err);
    if (X509_NAME_entry_count(subject) > 0)
        der_put(&w, name, len);
    if (any && put_sans(&w, sans))
        return fail(err);
    der_end(&w, 0, DER_SEQUENCE);
    if (w.rc || der.len > INT_MAX ||
        !X509_REQ_add1_attr_by_OBJ(req, type, V_ASN1_SEQUENCE, der.data, (int)der.len))
        return fail(err);
    return 0;
}

/* --- reading --- */

static int bad(struct estc_error *err) {
    return ossl_error(err, ESTC_E_MALFORMED,
                      "certification request: its ChangeSubjectName is broken");
}

static X509_NAME *read_subject(const struct der_item *item) {
    const unsigned char *p = item->whole.at;
    X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)item->whole.len);
    if (name && p == item->whole.at + item->whole.len)
        return name;
    X509_NAME_free(name);
    return NULL;
}

/* One name at the least (RFC 5280 section 4.2.1.6), and written as we would write them. */
static bool is_der(const GENERAL_NAMES *sans, const struct der *der) {
    unsigned char *again = NULL;
    int len = sk_GENERAL_NAME_num(sans) > 0 ? i2d_GENERAL_NAMES(sans, &again) : -1;
    bool same = len > 0 && (size_t)len == der->len && memcmp(again, der->at, der->len) == 0;
    OPENSSL_free(again);
    return same;
}

/* With whichever identifier they came. */
static GENERAL_NAMES *read_sans(const struct der_item *item) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    if (estc_buf_append(&der, item->whole.at, item->whole.len))
        return NULL;
    der.data[0] = DER_SEQUENCE;
    const unsigned char *p = der.data;
    GENERAL_NAMES *sans = d2i_GENERAL_NAMES(NULL, &p, (long)der.len);
    if (sans && is_der(sans, &(struct der){der.data, der.len}))
        return sans;
    GENERAL_NAMES_free(sans);
    return NULL;
}

/* Whether a SEQUENCE is a name: it has SETs in it, or nothing. */
static bool looks_like_name(const struct der_item *item) {
    return item->content.len == 0 || item->content.at[0] == DER_SET;
}

static bool take_sans(struct der *in, struct der_item *out) {
    return der_take(in, DER_CONTEXT_1, out) || der_take(in, DER_SEQUENCE, out);
}

/* Both members of one value, each NULL when it is absent. */
static bool read_members(struct der in, X509_NAME **subject, GENERAL_NAMES **sans) {
    struct der rest = in;
    struct der_item item;
    if (der_take(&rest, DER_SEQUENCE, &item) && looks_like_name(&item)) {
        in = rest;
        *subject = read_subject(&item);
        if (!*subject)
            return false;
    }
    if (take_sans(&in, &item)) {
        *sans = read_sans(&item);
        if (!*sans)
            return false;
    }
    return in.len == 0 && (*subject || *sans);
}

int estc_csr_new_names(const X509_REQ *req, X509_NAME **subject, GENERAL_NAMES **sans,
                       struct estc_error *err) {
    _cleanup(object_freep) ASN1_OBJECT *type = OBJ_txt2obj(OID_CHANGE_SUBJECT_NAME, 1);
    const ASN1_TYPE *value = NULL;
    if (!type)
        return ossl_error(err, -ENOMEM, "out of memory");
    if (csr_attribute(req, type, &value) || (value && value->type != V_ASN1_SEQUENCE))
        return bad(err);
    if (!value) {
        *subject = NULL;
        *sans = NULL;
        return 0;
    }
    const ASN1_STRING *string = value->value.sequence; /* identifier and length included */
    struct der in = {ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
    struct der_item whole;
    _cleanup(x509_name_freep) X509_NAME *name = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *names = NULL;
    if (!der_take(&in, DER_SEQUENCE, &whole) || in.len > 0 ||
        !read_members(whole.content, &name, &names))
        return bad(err);
    if (!name)
        name = X509_NAME_new(); /* an absent subject is an empty one */
    if (!name)
        return ossl_error(err, -ENOMEM, "out of memory");
    ossl_forget();
    *subject = TAKE(name);
    *sans = TAKE(names);
    return 0;
}
