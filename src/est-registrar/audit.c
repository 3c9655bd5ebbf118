/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the file, which is only ever appended to: one write a line, so that lines of several
 * processes do not mix and a reader never sees half of one but where the disk was full.
 */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/journal.h"
#include "ctl/json.h"

#define MODE 0640

struct audit {
    char *path; /* NULL: the journal only */
    int fd;
    bool failed; /* as was said last */
    bool cut;    /* the last line is not whole */
};

static const struct {
    const char *label;
    enum estc_log_level level;
} events[] = {
#define AUDIT_ROW(name, text, at) [name] = {text, ESTC_LOG_##at},
    AUDIT_EVENTS(AUDIT_ROW)
#undef AUDIT_ROW
};

/* --- the file --- */

static int open_file(const char *path, struct estc_error *err) {
    struct stat st;
    _cleanup(fs_closep) int fd = open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, MODE);
    if (fd < 0 || fstat(fd, &st) < 0)
        return estc_error_set(err, -errno, "audit_log %s: cannot be opened: %m", path);
    if (!S_ISREG(st.st_mode))
        return estc_error_set(err, -EINVAL, "audit_log %s: is no regular file", path);
    int opened = fd;
    fd = -1;
    return opened;
}

static void complain(struct audit *a, const char *text) {
    if (!a->failed)
        journal_error("%s: decisions stand in the journal only", text);
    a->failed = true;
}

static void append(struct audit *a, const char *line) {
    _cleanup(freep) char *text = text_format("%s%s\n", a->cut ? "\n" : "", line);
    size_t len = text ? strlen(text) : 0;
    ssize_t n = text ? write(a->fd, text, len) : -1;
    if (n == (ssize_t)len) {
        if (a->failed)
            journal_notice("audit_log %s is written again", a->path);
        a->failed = a->cut = false;
        return;
    }
    _cleanup(freep) char *why = text_format("audit_log %s: cannot be written: %s", a->path,
                                            n < 0 ? strerror(errno) : "the disk is full");
    a->cut = a->cut || n > 0;
    complain(a, why ? why : "out of memory");
}

/* --- records --- */

struct member {
    const char *json, *field, *value;
};

#define MEMBERS 13 /* and one that ends them */

static void list_members(const struct audit_record *r, struct member out[static MEMBERS]) {
    const struct member all[MEMBERS] = {
        {"op", "ESTC_OP", r->op},
        {"label", "ESTC_LABEL", r->label && *r->label ? r->label : NULL},
        {"address", "ESTC_ADDRESS", r->address},
        {"device", "ESTC_DEVICE", r->device},
        {"device_sha256", "ESTC_DEVICE_SHA256", r->device_sha256},
        {"subject", "ESTC_SUBJECT", r->subject},
        {"rule", "ESTC_RULE", r->rule},
        {"serial", "ESTC_SERIAL", r->serial},
        {"not_after", "ESTC_NOT_AFTER", r->not_after},
        {"superseded", "ESTC_SUPERSEDED", r->superseded},
        {"reason", "ESTC_REASON", r->reason && *r->reason ? r->reason : NULL},
        {"by", "ESTC_BY", r->by},
    };
    memcpy(out, all, sizeof(all));
}

static char *line_of(const char *event, const struct audit_record *r,
                     const struct member members[static MEMBERS]) {
    char now[CLOCK_TEXT_MAX];
    _cleanup(json_freep) json_t *json =
        json_pack("{s:s, s:s}", "time", clock_text(clock_real(), now), "event", event);
    for (size_t i = 0; json && i < MEMBERS && members[i].json; i++)
        if (members[i].value)
            json_object_set_new(json, members[i].json, json_string(members[i].value));
    if (json && r->request != 0)
        json_object_set_new(json, "request", json_integer((json_int_t)r->request));
    return json ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
}

static void tell_journal(enum audit_event event, const struct member members[static MEMBERS],
                         const char *text) {
    char *fields[MEMBERS + 2] = {text_format("ESTC_EVENT=%s", events[event].label)};
    size_t n = fields[0] != NULL;
    for (size_t i = 0; i < MEMBERS && members[i].json; i++)
        if (members[i].value &&
            (fields[n] = text_format("%s=%s", members[i].field, members[i].value)))
            n++;
    journal_write(events[event].level, (const char *const *)fields, "%s", text);
    for (size_t i = 0; i < n; i++)
        free(fields[i]);
}

void audit_write(struct audit *a, enum audit_event event, const struct audit_record *record,
                 const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    _cleanup(freep) char *text = text_vformat(fmt, args);
    va_end(args);
    struct member members[MEMBERS];
    list_members(record, members);
    tell_journal(event, members, text ? text : events[event].label);
    if (a->fd < 0)
        return;
    _cleanup(freep) char *line = line_of(events[event].label, record, members);
    if (line)
        append(a, line);
    else
        complain(a, "out of memory");
}

/* --- life --- */

int audit_open(const char *path, struct audit **out, struct estc_error *err) {
    _cleanup(audit_closep) struct audit *a = calloc(1, sizeof(*a));
    if (!a)
        return estc_error_set(err, -ENOMEM, "out of memory");
    a->fd = -1;
    a->path = path ? strdup(path) : NULL;
    if (path && !a->path)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (path && (a->fd = open_file(path, err)) < 0)
        return a->fd;
    *out = TAKE(a);
    return 0;
}

void audit_reopen(struct audit *a) {
    struct estc_error err = {0};
    if (!a->path)
        return;
    int fd = open_file(a->path, &err);
    if (fd < 0) {
        complain(a, err.text); /* on with the one that there is */
        return;
    }
    fs_closep(&a->fd);
    a->fd = fd;
    a->cut = false;
}

struct audit *audit_close(struct audit *a) {
    if (!a)
        return NULL;
    fs_closep(&a->fd);
    free(a->path);
    free(a);
    return NULL;
}
