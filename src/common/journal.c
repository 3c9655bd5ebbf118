/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a daemon. Structured entries when stderr is the journal's own stream, lines with a
 * time otherwise. Its state is the one global that a log handler is; never fails, never blocks for
 * long.
 */
#include "common/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The macros that add CODE_FILE and the like say nothing to an operator. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define FIELDS_MAX 24

const char *const journal_level_names[] = {
    [ESTC_LOG_ERROR] = "error", [ESTC_LOG_WARNING] = "warning", [ESTC_LOG_NOTICE] = "notice",
    [ESTC_LOG_INFO] = "info",   [ESTC_LOG_DEBUG] = "debug",     NULL,
};

static struct {
    const char *name;
    enum estc_log_level level;
    bool to_journal; /* entries by sendmsg() */
    bool in_stream;  /* lines into the journal's stream */
} journal = {.name = "estc", .level = ESTC_LOG_INFO};

/* systemd says in JOURNAL_STREAM which stream is its own: DEVICE:INODE of stderr, or not ours. */
static bool stderr_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void on_library_log(enum estc_log_level level, const char *text, void *arg) {
    (void)arg;
    journal_write(level, NULL, "%s", text);
}

void journal_open(const char *name, enum estc_log_level level) {
    journal.name = name;
    journal.level = level;
    journal.to_journal = stderr_is_journal();
    journal.in_stream = false;
    estc_log_set_handler(on_library_log, NULL);
}

void journal_set_level(enum estc_log_level level) {
    journal.level = level;
}

void journal_use_stderr(void) {
    journal.in_stream = journal.to_journal;
    journal.to_journal = false;
}

static int to_priority(enum estc_log_level level) {
    static const int priorities[] = {
        [ESTC_LOG_ERROR] = 3, [ESTC_LOG_WARNING] = 4, [ESTC_LOG_NOTICE] = 5,
        [ESTC_LOG_INFO] = 6,  [ESTC_LOG_DEBUG] = 7,
    };
    return priorities[level];
}

static void write_journal(enum estc_log_level level, const char *const *fields, const char *text) {
    _cleanup(freep) char *message = text_format("MESSAGE=%s", text);
    _cleanup(freep) char *priority = text_format("PRIORITY=%d", to_priority(level));
    _cleanup(freep) char *name = text_format("SYSLOG_IDENTIFIER=%s", journal.name);
    if (!message || !priority || !name)
        return;
    struct iovec parts[FIELDS_MAX] = {
        {message, strlen(message)}, {priority, strlen(priority)}, {name, strlen(name)}};
    int n = 3;
    for (; fields && *fields && n < FIELDS_MAX; fields++)
        parts[n++] = (struct iovec){(char *)(uintptr_t)*fields, strlen(*fields)};
    sd_journal_sendv(parts, n);
}

void journal_write(enum estc_log_level level, const char *const *fields, const char *fmt, ...) {
    if (level > journal.level)
        return;
    va_list args;
    va_start(args, fmt);
    _cleanup(freep) char *text = text_vformat(fmt, args);
    va_end(args);
    if (!text)
        return;
    text_clean_in_place(text);
    if (journal.to_journal) {
        write_journal(level, fields, text);
        return;
    }
    /* One write for one line, so that the lines of several processes do not mix. */
    if (journal.in_stream) {
        dprintf(STDERR_FILENO, "<%d>%s\n", to_priority(level), text);
        return;
    }
    char when[CLOCK_TEXT_MAX];
    dprintf(STDERR_FILENO, "%s %s %s: %s\n", clock_text(clock_real(), when), journal.name,
            journal_level_names[level], text);
}
