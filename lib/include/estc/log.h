/* SPDX-License-Identifier: BSD-2-Clause */
/* Where libestc's diagnostics go: nowhere, until the program sets a handler. */
#pragma once

enum estc_log_level {
    ESTC_LOG_ERROR,
    ESTC_LOG_WARNING,
    ESTC_LOG_NOTICE,
    ESTC_LOG_INFO,
    ESTC_LOG_DEBUG,
};

/* text is one line without a line feed, already escaped. */
typedef void (*estc_log_fn)(enum estc_log_level level, const char *text, void *arg);

/* Process-wide; NULL silences. Not thread-safe: call it before anything else. */
void estc_log_set_handler(estc_log_fn handler, void *arg);
