/* SPDX-License-Identifier: BSD-2-Clause */
/* The operations of EST-coaps (RFC 9148 section 4.1, tables 1 to 3). */
#pragma once

#include <estc/transport.h>

enum estc_op {
    ESTC_OP_CRTS, /* /crts: CA certificates */
    ESTC_OP_SEN,  /* /sen: enroll */
    ESTC_OP_SREN, /* /sren: re-enroll */
    ESTC_OP_SKG,  /* /skg: enroll with a key that the server makes, certs-only answer */
    ESTC_OP_SKC,  /* /skc: the same, the certificate alone */
    ESTC_OP_ATT,  /* /att: CSR attributes */
    ESTC_OP_MAX_,
};

struct estc_op_info {
    const char *name;      /* "crts" */
    const char *long_name; /* "cacerts": RFC 7030's, never valid in a coaps path; /skg and /skc
                              share one */
    enum estc_method method;
    int request_format;    /* ESTC_FORMAT_NONE for a GET */
    int response_format;   /* what is asked for and sent when the client has no wish */
    unsigned success_code; /* 205 or 204 */
};

/* NULL for a number that is no operation. */
const struct estc_op_info *estc_op_info(enum estc_op op);

/* From a name as it stands in a coaps path ("sen"); 0 or -EINVAL, for RFC 7030's names too. */
int estc_op_parse(const char *name, enum estc_op *out);

/*
 * Whether a label can stand between root and operation (RFC 9148 section 4.1): one path segment of
 * at most 255 bytes, letters, digits and "-._~!$&'()*+,;=:@", not "." or "..", and no operation's
 * name, short or long, implemented here or not. ESTC_E_CONFIG with the reason; NULL and "" (no
 * label) are fine.
 */
int estc_label_check(const char *label, struct estc_error *err);
