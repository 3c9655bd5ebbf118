/* SPDX-License-Identifier: BSD-2-Clause */
/* Journal entries that can be found by what they are. Keeps nothing; decides nothing. */
#include "catalog.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define OWN_FIELDS 3
#define MORE_FIELDS 8

static const struct {
    const char *message_id, *label;
    enum estc_log_level level;
} events[] = {
#define CATALOG_ROW(name, id, at, text) [name] = {id, text, ESTC_LOG_##at},
    CATALOG_EVENTS(CATALOG_ROW)
#undef CATALOG_ROW
};

void catalog_log(enum catalog_event event, const char *identity, const char *const *fields,
                 const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    _cleanup(freep) char *text = text_vformat(fmt, args);
    va_end(args);
    _cleanup(freep) char *id = text_format("MESSAGE_ID=%s", events[event].message_id);
    _cleanup(freep) char *label = text_format("ESTC_EVENT=%s", events[event].label);
    _cleanup(freep) char *whom = identity ? text_format("ESTC_ID=%s", identity) : NULL;
    const char *all[OWN_FIELDS + MORE_FIELDS + 1] = {0};
    size_t n = 0;
    const char *const own[OWN_FIELDS] = {id, label, whom};
    for (size_t i = 0; i < OWN_FIELDS; i++)
        if (own[i])
            all[n++] = own[i];
    for (size_t i = 0; fields && fields[i] && i < MORE_FIELDS; i++)
        all[n++] = fields[i];
    journal_write(events[event].level, all, "%s", text ? text : fmt);
}
