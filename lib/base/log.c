/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one global of the library: who wants its diagnostics. Silent until a program asks. C standard
 * headers only.
 */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define LOG_LINE_MAX 1024

static struct {
    estc_log_fn handler;
    void *arg;
} log_sink;

void estc_log_set_handler(estc_log_fn handler, void *arg) {
    log_sink.handler = handler;
    log_sink.arg = arg;
}

void log_write(enum estc_log_level level, const char *fmt, ...) {
    if (!log_sink.handler)
        return;
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (len < 0)
        return;
    if (len >= (int)sizeof(line))
        strcpy(line + sizeof(line) - 4, "...");
    text_clean_in_place(line);
    log_sink.handler(level, line, log_sink.arg);
}
