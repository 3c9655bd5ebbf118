/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of a server's wishes: from CSR attributes, a local policy and what would be asked
 * for without them to what goes into the request, with a reason for each. Pure: it opens, sends and
 * remembers nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#include <estc/csrattrs.h>
#include <estc/error.h>
#include <estc/key.h>

/* Kinds of wishes, as bits of a policy. X(name, label). */
#define WISHES_KINDS(X)                                                                 \
    X(WISHES_KEY, "key")               /* the kind of the key */                        \
    X(WISHES_SIGNATURE, "signature")   /* the digest that the request is signed with */ \
    X(WISHES_POP, "pop")               /* a channel binding */                          \
    X(WISHES_NAMES, "names")           /* parts of the subject, subjectAltName */       \
    X(WISHES_EXTENSIONS, "extensions") /* all other extensions */

#define WISHES_ENUM(name, label) name,
enum wishes_kind { WISHES_KINDS(WISHES_ENUM) WISHES_KIND_MAX_ };
#undef WISHES_ENUM
extern const char *const wishes_kind_names[]; /* NULL-ended */

#define WISHES_BIT(kind) (1u << (kind))
/* What can do no harm: a server that wishes for names or extensions is obeyed only when somebody
 * has said so (RFC 9908 section 6). */
#define WISHES_DEFAULT \
    (WISHES_BIT(WISHES_KEY) | WISHES_BIT(WISHES_SIGNATURE) | WISHES_BIT(WISHES_POP))

/* All borrowed. */
struct wishes_input {
    const struct estc_csrattrs *attrs;
    unsigned obey;               /* WISHES_BIT()s */
    enum estc_key_type key_type; /* configured; or of the key that is there */
    bool key_made;               /* there is one, so its type stays */
    const char *subject;         /* configured, as in struct estc_csr_spec */
    const char *const *sans;     /* the same */
    const X509 *renew;           /* the certificate whose names have to stay; or NULL */
    const X509_NAME *own;        /* of the certificate that authenticates: what open parts of the
                                    subject are filled from when nothing is configured; or NULL */
};

/* Starts as {0}; clear it with wishes_plan_clear(). */
struct wishes_plan {
    enum estc_key_type key_type;
    const EVP_MD *digest; /* NULL: the usual one */
    bool challenge;
    X509_NAME *subject;                    /* NULL: the configured one */
    bool replaces_sans;                    /* extensions has a subjectAltName instead of sans */
    STACK_OF(X509_EXTENSION) * extensions; /* may be NULL */
    char **lines;                          /* one for each wish: "WISH: granted, HOW" or
                                              "WISH: not granted, WHY"; clean text */
    size_t granted, denied;
};

int wishes_follow(const struct wishes_input *in, struct wishes_plan *out, struct estc_error *err);
void wishes_plan_clear(struct wishes_plan *plan);
