/* SPDX-License-Identifier: BSD-2-Clause */
/* The library's own diagnostics; see <estc/log.h>. */
#pragma once

#include <estc/error.h>
#include <estc/log.h>

void log_write(enum estc_log_level level, const char *fmt, ...) ESTC_PRINTF(2, 3);

#define log_error(...) log_write(ESTC_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(ESTC_LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(ESTC_LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(ESTC_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(ESTC_LOG_DEBUG, __VA_ARGS__)
