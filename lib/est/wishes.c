/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Follows wishes for the key, the signature, the channel binding and extensions; names are in
 * wishes_names.c. Owns nothing but the plan that it fills. What it never does, whatever the policy:
 * ask for a CA certificate, or sign with a digest that is broken.
 */
#include "est/wishes_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/key.h"
#include "pkix/ossl.h"

#define LINE_MAX_BYTES 512

#define WISHES_LABEL(name, label) [name] = label,
const char *const wishes_kind_names[] = {WISHES_KINDS(WISHES_LABEL)[WISHES_KIND_MAX_] = NULL};
#undef WISHES_LABEL

void wishes_plan_clear(struct wishes_plan *plan) {
    X509_NAME_free(plan->subject);
    sk_X509_EXTENSION_pop_free(plan->extensions, X509_EXTENSION_free);
    text_list_free(plan->lines);
    *plan = (struct wishes_plan){0};
}

int wishes_say(struct wishes_plan *plan, bool granted, const char *why, const char *fmt, ...) {
    char what[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    _cleanup(freep) char *raw =
        text_format("%s: %s%s%s", what, granted ? "granted" : "not granted", *why ? ", " : "", why);
    _cleanup(freep) char *line = raw ? text_clean(raw, strlen(raw), LINE_MAX_BYTES) : NULL;
    if (!line || text_list_add(&plan->lines, line))
        return -ENOMEM;
    *(granted ? &plan->granted : &plan->denied) += 1;
    return 0;
}

char *wishes_oid_text(const ASN1_OBJECT *oid) {
    char dotted[128]; /* cut when longer */
    int nid = OBJ_obj2nid(oid);
    if (nid != NID_undef)
        return text_format("%s", OBJ_nid2sn(nid));
    if (OBJ_obj2txt(dotted, sizeof(dotted), oid, 1) <= 0)
        strcpy(dotted, "?");
    return text_format("%s", dotted);
}

bool wishes_obeyed(const struct wishes_input *in, enum wishes_kind kind) {
    return in->obey & WISHES_BIT(kind);
}

const char *wishes_refusal(enum wishes_kind kind) {
    static const char *const texts[] = {
        [WISHES_KEY] = "obey does not name key",
        [WISHES_SIGNATURE] = "obey does not name signature",
        [WISHES_POP] = "obey does not name pop, or pop is never",
        [WISHES_NAMES] = "obey does not name names",
        [WISHES_EXTENSIONS] = "obey does not name extensions",
    };
    return texts[kind];
}

/* --- key --- */

static char *key_text(const struct estc_key_wish *key) {
    _cleanup(freep) char *algorithm = wishes_oid_text(key->algorithm);
    _cleanup(freep) char *curve = key->curve ? wishes_oid_text(key->curve) : NULL;
    if (!algorithm || (key->curve && !curve))
        return NULL;
    if (key->bits)
        return text_format("key %s of %u bits", algorithm, key->bits);
    return text_format("key %s%s%s", algorithm, curve ? " on " : "", curve ? curve : "");
}

static int follow_key(const struct wishes_input *in, struct wishes_plan *plan) {
    const struct estc_key_wish *wish = &in->attrs->key;
    plan->key_type = in->key_type;
    if (!wish->algorithm)
        return 0;
    _cleanup(freep) char *what = key_text(wish);
    if (!what)
        return -ENOMEM;
    if (estc_key_wish_fits(wish, in->key_type))
        return wishes_say(plan, true, "as it is", "%s", what);
    if (!wishes_obeyed(in, WISHES_KEY))
        return wishes_say(plan, false, wishes_refusal(WISHES_KEY), "%s", what);
    if (in->key_made)
        return wishes_say(plan, false, "the key of an earlier attempt is still in use", "%s", what);
    for (int type = 0; type < ESTC_KEY_TYPE_MAX_; type++) {
        if (!estc_key_wish_fits(wish, (enum estc_key_type)type))
            continue;
        plan->key_type = (enum estc_key_type)type;
        return wishes_say(plan, true, "other than configured", "%s", what);
    }
    return wishes_say(plan, false, "keys of this kind are not made here", "%s", what);
}

/* --- signature --- */

static const EVP_MD *usable_digest(int nid) {
    return nid == NID_sha256   ? EVP_sha256()
           : nid == NID_sha384 ? EVP_sha384()
           : nid == NID_sha512 ? EVP_sha512()
                               : NULL;
}

/* Whether a key of the type can make such signatures; a digest alone goes with all. */
static bool signature_fits(int nid, enum estc_key_type type) {
    int key = NID_undef;
    if (!OBJ_find_sigid_algs(nid, NULL, &key))
        return true;
    return key == (key_type_curve(type) ? NID_X9_62_id_ecPublicKey : NID_rsaEncryption);
}

static int follow_signature(const struct wishes_input *in, struct wishes_plan *plan) {
    if (!in->attrs->signature)
        return 0;
    _cleanup(freep) char *what = wishes_oid_text(in->attrs->signature);
    const EVP_MD *digest = usable_digest(estc_csrattrs_digest(in->attrs));
    int usual = plan->key_type == ESTC_KEY_P384 ? NID_sha384 : NID_sha256;
    if (!what)
        return -ENOMEM;
    if (!signature_fits(OBJ_obj2nid(in->attrs->signature), plan->key_type))
        return wishes_say(plan, false, "the key is of another kind", "signature %s", what);
    if (!digest)
        return wishes_say(plan, false, "requests are signed with SHA-256, SHA-384 or SHA-512",
                          "signature %s", what);
    if (EVP_MD_get_type(digest) == usual)
        return wishes_say(plan, true, "as it is", "signature %s", what);
    if (!wishes_obeyed(in, WISHES_SIGNATURE))
        return wishes_say(plan, false, wishes_refusal(WISHES_SIGNATURE), "signature %s", what);
    plan->digest = digest;
    return wishes_say(plan, true, "", "signature %s", what);
}

/* --- channel binding --- */

static int follow_pop(const struct wishes_input *in, struct wishes_plan *plan) {
    if (!in->attrs->challenge)
        return 0;
    plan->challenge = wishes_obeyed(in, WISHES_POP);
    return wishes_say(plan, plan->challenge, plan->challenge ? "" : wishes_refusal(WISHES_POP),
                      "channel binding");
}

/* --- extensions --- */

int wishes_add_extension(struct wishes_plan *plan, const ASN1_OBJECT *oid, bool critical,
                         ASN1_OCTET_STRING *value) {
    if (!plan->extensions)
        plan->extensions = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, critical, value);
    if (extension && plan->extensions && sk_X509_EXTENSION_push(plan->extensions, extension))
        return 0;
    X509_EXTENSION_free(extension);
    ossl_forget();
    return -ENOMEM;
}

/* Whoever holds such a certificate could issue others; no device asks for one on hearsay. */
static bool makes_a_ca(const struct estc_extension_wish *wish) {
    const unsigned char *p = ASN1_STRING_get0_data(wish->value);
    long len = ASN1_STRING_length(wish->value);
    bool ca = false;
    if (OBJ_obj2nid(wish->oid) == NID_basic_constraints) {
        BASIC_CONSTRAINTS *constraints = d2i_BASIC_CONSTRAINTS(NULL, &p, len);
        ca = !constraints || constraints->ca;
        BASIC_CONSTRAINTS_free(constraints);
    } else if (OBJ_obj2nid(wish->oid) == NID_key_usage) {
        ASN1_BIT_STRING *usage = d2i_ASN1_BIT_STRING(NULL, &p, len);
        ca = !usage || ASN1_BIT_STRING_get_bit(usage, 5) || ASN1_BIT_STRING_get_bit(usage, 6);
        ASN1_BIT_STRING_free(usage);
    }
    ossl_forget();
    return ca;
}

static int follow_extension(const struct wishes_input *in, const struct estc_extension_wish *wish,
                            struct wishes_plan *plan) {
    _cleanup(freep) char *what = wishes_oid_text(wish->oid);
    if (!what)
        return -ENOMEM;
    if (!wishes_obeyed(in, WISHES_EXTENSIONS))
        return wishes_say(plan, false, wishes_refusal(WISHES_EXTENSIONS), "extension %s", what);
    if (!wish->value)
        return wishes_say(plan, false, "there is nothing here to fill it with", "extension %s",
                          what);
    if (makes_a_ca(wish))
        return wishes_say(plan, false, "it is one for a CA", "extension %s", what);
    int rc = wishes_add_extension(plan, wish->oid, wish->critical, wish->value);
    return rc ? rc : wishes_say(plan, true, "", "extension %s", what);
}

static int follow_extensions(const struct wishes_input *in, struct wishes_plan *plan,
                             struct estc_error *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < in->attrs->extension_count; i++) {
        const struct estc_extension_wish *wish = &in->attrs->extensions[i];
        rc = OBJ_obj2nid(wish->oid) == NID_subject_alt_name
                 ? wishes_follow_sans(in, wish, plan, err)
                 : follow_extension(in, wish, plan);
    }
    return rc;
}

/* --- the whole --- */

static int list_others(const struct wishes_input *in, struct wishes_plan *plan) {
    int rc = 0;
    for (size_t i = 0; !rc && i < in->attrs->other_count; i++) {
        _cleanup(freep) char *what = wishes_oid_text(in->attrs->others[i]);
        rc = what ? wishes_say(plan, false, "it is not understood here", "%s", what) : -ENOMEM;
    }
    return rc;
}

int wishes_follow(const struct wishes_input *in, struct wishes_plan *out, struct estc_error *err) {
    _cleanup(wishes_plan_clear) struct wishes_plan plan = {0};
    int rc = follow_key(in, &plan);
    if (!rc)
        rc = follow_signature(in, &plan);
    if (!rc)
        rc = follow_pop(in, &plan);
    if (!rc)
        rc = wishes_follow_subject(in, &plan, err);
    if (!rc)
        rc = follow_extensions(in, &plan, err);
    if (!rc)
        rc = list_others(in, &plan);
    if (rc == -ENOMEM)
        return estc_error_set(err, rc, "out of memory");
    if (rc)
        return rc;
    *out = plan;
    plan = (struct wishes_plan){0};
    return 0;
}
