/* SPDX-License-Identifier: BSD-2-Clause */
/* CSR attributes as one line, so that tests can be tables. */
#pragma once

#include <stdio.h>
#include <string.h>

#include <openssl/objects.h>

#include <estc/csrattrs.h>

#define WISHES_TEXT_MAX 8192

struct wishes_text {
    char text[WISHES_TEXT_MAX];
};

static inline void wishes_add(struct wishes_text *out, const char *word, const ASN1_OBJECT *oid) {
    char name[128] = "";
    if (oid)
        OBJ_obj2txt(name, sizeof(name), oid, OBJ_obj2nid(oid) == NID_undef);
    size_t used = strlen(out->text);
    snprintf(out->text + used, sizeof(out->text) - used, "%s%s", word,
             oid && OBJ_obj2nid(oid) ? OBJ_nid2sn(OBJ_obj2nid(oid)) : name);
}

static inline void wishes_add_name(struct wishes_text *out, const struct estc_name_wish *wish) {
    wishes_add(out, wish->joined ? "+" : " ", wish->type);
    wishes_add(out, "=", NULL);
    size_t used = strlen(out->text);
    if (wish->value)
        snprintf(out->text + used, sizeof(out->text) - used, "%.*s",
                 ASN1_STRING_length(wish->value), ASN1_STRING_get0_data(wish->value));
    else
        wishes_add(out, "?", NULL);
}

/* "T pop key:id-ecPublicKey/secp384r1 sig:ecdsa-with-SHA384 CN=? ext:keyUsage! other:2.999.1":
 * "!" critical, "?" open. */
static inline struct wishes_text wishes_text(const struct estc_csrattrs *attrs) {
    struct wishes_text out = {""};
    wishes_add(&out, attrs->from_template ? "T" : "P", NULL);
    if (attrs->challenge)
        wishes_add(&out, " pop", NULL);
    if (attrs->key.algorithm)
        wishes_add(&out, " key:", attrs->key.algorithm);
    if (attrs->key.curve)
        wishes_add(&out, "/", attrs->key.curve);
    size_t used = strlen(out.text);
    if (attrs->key.bits)
        snprintf(out.text + used, sizeof(out.text) - used, "/%u", attrs->key.bits);
    if (attrs->signature)
        wishes_add(&out, " sig:", attrs->signature);
    for (size_t i = 0; i < attrs->name_count; i++)
        wishes_add_name(&out, &attrs->names[i]);
    for (size_t i = 0; i < attrs->extension_count; i++) {
        wishes_add(&out, " ext:", attrs->extensions[i].oid);
        wishes_add(&out, attrs->extensions[i].critical ? "!" : "", NULL);
        wishes_add(&out, estc_extension_wish_is_open(&attrs->extensions[i]) ? "?" : "", NULL);
    }
    for (size_t i = 0; i < attrs->other_count; i++)
        wishes_add(&out, " other:", attrs->others[i]);
    return out;
}
