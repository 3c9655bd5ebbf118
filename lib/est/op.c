/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of EST-coaps (RFC 9148 section 4.1, table 1; section 4.3 for the formats), and
 * what may stand beside them in a path. Client and server read the one table.
 */
#include <estc/op.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const struct estc_op_info op_table[ESTC_OP_MAX_] = {
    [ESTC_OP_CRTS] = {"crts", "cacerts", ESTC_GET, ESTC_FORMAT_NONE, ESTC_FORMAT_CERTS_ONLY, 205},
    [ESTC_OP_SEN] = {"sen", "simpleenroll", ESTC_POST, ESTC_FORMAT_PKCS10, ESTC_FORMAT_CERTS_ONLY,
                     204},
    [ESTC_OP_SREN] = {"sren", "simplereenroll", ESTC_POST, ESTC_FORMAT_PKCS10,
                      ESTC_FORMAT_CERTS_ONLY, 204},
    [ESTC_OP_SKG] = {"skg", "serverkeygen", ESTC_POST, ESTC_FORMAT_PKCS10, ESTC_FORMAT_MULTIPART,
                     204},
    [ESTC_OP_SKC] = {"skc", "serverkeygen", ESTC_POST, ESTC_FORMAT_PKCS10, ESTC_FORMAT_MULTIPART,
                     204},
    [ESTC_OP_ATT] = {"att", "csrattrs", ESTC_GET, ESTC_FORMAT_NONE, ESTC_FORMAT_CSRATTRS, 205},
};

/* RFC 7030's operation that has no form in coaps; a label of that name would only confuse. */
static const char op_fullcmc[] = "fullcmc";

#define LABEL_MAX 255 /* one Uri-Path option, RFC 7252 section 5.10 */

const struct estc_op_info *estc_op_info(enum estc_op op) {
    return (unsigned)op < ESTC_OP_MAX_ ? &op_table[op] : NULL;
}

int estc_op_parse(const char *name, enum estc_op *out) {
    for (int i = 0; i < ESTC_OP_MAX_; i++)
        if (strcmp(name, op_table[i].name) == 0) {
            *out = (enum estc_op)i;
            return 0;
        }
    return -EINVAL;
}

static bool is_operation_name(const char *name) {
    for (int i = 0; i < ESTC_OP_MAX_; i++)
        if (strcmp(name, op_table[i].name) == 0 || strcmp(name, op_table[i].long_name) == 0)
            return true;
    return strcmp(name, op_fullcmc) == 0;
}

int estc_label_check(const char *label, struct estc_error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._~!$&'()*+,;=:@"; /* pchar of RFC 3986 without escapes */
    if (!label || !*label)
        return 0;
    const char *why = NULL;
    if (strlen(label) > LABEL_MAX)
        why = "longer than 255 characters";
    else if (label[strspn(label, allowed)])
        why = "has a character that cannot stand in one path segment";
    else if (strcmp(label, ".") == 0 || strcmp(label, "..") == 0)
        why = "'.' and '..' are no segments of a coaps path";
    else if (is_operation_name(label))
        why = "an operation has that name; choose another";
    return why ? estc_error_set(err, ESTC_E_CONFIG, "label '%s': %s", label, why) : 0;
}
