/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a daemon: to the journal with structured fields when stderr is connected to it
 * (JOURNAL_STREAM), as plain lines to stderr otherwise. Also libestc's log handler.
 */
#pragma once

#include <stdbool.h>

#include <estc/error.h>
#include <estc/log.h>

/* name is SYSLOG_IDENTIFIER. Lines above `level` are dropped. */
void journal_open(const char *name, enum estc_log_level level);
void journal_set_level(enum estc_log_level level);

/* For a forked child: its entries go through stderr, the journal's own stream included (with the
 * priority in front, as systemd reads it), since the connection to the journal stays the parent's.
 */
void journal_use_stderr(void);

/* Extra fields of one entry, "ESTC_ID=gw-mqtt", NULL-ended, or NULL. */
void journal_write(enum estc_log_level level, const char *const *fields, const char *fmt, ...)
    ESTC_PRINTF(3, 4);

#define journal_error(...) journal_write(ESTC_LOG_ERROR, NULL, __VA_ARGS__)
#define journal_warning(...) journal_write(ESTC_LOG_WARNING, NULL, __VA_ARGS__)
#define journal_notice(...) journal_write(ESTC_LOG_NOTICE, NULL, __VA_ARGS__)
#define journal_info(...) journal_write(ESTC_LOG_INFO, NULL, __VA_ARGS__)
#define journal_debug(...) journal_write(ESTC_LOG_DEBUG, NULL, __VA_ARGS__)

/* "error", "warning", "notice", "info", "debug"; NULL-ended, for CONF_CHOICE. */
extern const char *const journal_level_names[];
