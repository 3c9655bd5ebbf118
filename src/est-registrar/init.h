/* SPDX-License-Identifier: BSD-2-Clause */
/* `est-registrar init` and `est-registrar device`: a small PKI in a folder. */
#pragma once

#include <estc/error.h>

struct init_options {
    const char *dir;            /* made, or empty */
    const char *const *names;   /* of the server, beside localhost: DNS names or addresses */
    const char *const *devices; /* common names of birth certificates; NULL-ended */
    const char *lifetime;       /* of issued certificates, in the file's notation */
};

/* Whether names, devices and lifetime will do; touches nothing. -EINVAL or ESTC_E_CONFIG. */
int init_check(const struct init_options *options, struct estc_error *err);

/* Works in a new or empty folder only (-ENOTEMPTY). After a failure the text says what to remove.
 */
int init_site(const struct init_options *options, struct estc_error *err);

/* One more birth certificate in a folder that init has made. */
int init_device(const char *dir, const char *name, struct estc_error *err);
