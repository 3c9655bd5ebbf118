/* SPDX-License-Identifier: BSD-2-Clause */
/* Scope cleanup: `_cleanup(x509_freep) X509 *cert = NULL;` frees when the scope is left. */
#pragma once

#include <stdlib.h>

#define _cleanup(fn) __attribute__((cleanup(fn)))

/* Defines static inline void NAME(TYPE *p): calls FREE on what p points at, if anything. */
#define CLEANUP_DEFINE(type, name, free_fn) \
    static inline void name(type *p) {      \
        if (*p)                             \
            free_fn(*p);                    \
    }                                       \
    struct cleanup_needs_semicolon_

static inline void freep(void *p) {
    free(*(void **)p);
}

/* Hands ownership on: the variable becomes NULL and its scope frees nothing. */
#define TAKE(ptr)                       \
    ({                                  \
        __typeof__(ptr) taken_ = (ptr); \
        (ptr) = NULL;                   \
        taken_;                         \
    })
