/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error texts. They may quote what a peer sent, so they are cleaned here, once, and whoever shows
 * them need not. Never allocates: out of memory must be reportable. Arguments may point into the
 * error that is being filled. C standard headers only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <estc/error.h>

#include "base/text.h"

/* Cleaning shrinks at most three bytes to one, so twice the room shows enough of a long text. */
#define ERROR_SCRATCH_MAX (2 * ESTC_ERROR_TEXT_MAX)

/* The text, cleaned and cut between characters. */
static void error_store(struct estc_error *err, char *scratch) {
    static const char dots[] = "...";
    text_clean_in_place(scratch);
    size_t len = strlen(scratch);
    if (len < sizeof(err->text)) {
        memcpy(err->text, scratch, len + 1);
        return;
    }
    size_t keep = sizeof(err->text) - sizeof(dots);
    while (keep > 0 && ((unsigned char)scratch[keep] & 0xc0) == 0x80)
        keep--;
    memcpy(err->text, scratch, keep);
    memcpy(err->text + keep, dots, sizeof(dots));
}

static void error_format(char *scratch, const char *fmt, va_list args) ESTC_PRINTF(2, 0);
static void error_format(char *scratch, const char *fmt, va_list args) {
    int len = vsnprintf(scratch, ERROR_SCRATCH_MAX, fmt, args);
    if (len < 0)
        strcpy(scratch, "?");
    else if (len >= ERROR_SCRATCH_MAX)
        strcpy(scratch + ERROR_SCRATCH_MAX - 4, "...");
}

int estc_error_set(struct estc_error *err, int code, const char *fmt, ...) {
    if (!err)
        return code;
    char scratch[ERROR_SCRATCH_MAX];
    va_list args;
    va_start(args, fmt);
    error_format(scratch, fmt, args);
    va_end(args);
    error_store(err, scratch);
    err->code = code;
    return code;
}

int estc_error_prefix(struct estc_error *err, const char *fmt, ...) {
    if (!err)
        return -EINVAL; /* there is no code to return; at least it is not a success */
    char scratch[ERROR_SCRATCH_MAX];
    va_list args;
    va_start(args, fmt);
    error_format(scratch, fmt, args);
    va_end(args);
    size_t len = strlen(scratch);
    snprintf(scratch + len, sizeof(scratch) - len, ": %s", err->text);
    error_store(err, scratch);
    return err->code;
}

const char *estc_status_name(int code) {
#define ERROR_LABEL(name, label) [name] = label,
    static const char *const labels[] = {[ESTC_OK] = "ok", ESTC_ERROR_TABLE(ERROR_LABEL)};
#undef ERROR_LABEL
    if (code < 0)
        return "system";
    return code < ESTC_E_MAX_ ? labels[code] : "unknown";
}
