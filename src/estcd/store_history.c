/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The history of an identity: read, grown by one, written, and never held in memory. What is read
 * is taken as hostile: an entry that is none of ours is left out.
 */
#include "store_history.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "ctl/json.h"
#include "store_internal.h"

#define HISTORY "history.json"
#define TEXT_MAX 300 /* bytes; FILE_MAX has room for as many as there can be */
#define FILE_MAX (128 * 1024)

static const char *const members[] = {"time", "action", "result", "text", "serial", "not_after"};
#define N_REQUIRED 3

/* A copy of what is ours in it, with clean texts, or NULL. */
static json_t *clean(const json_t *given) {
    _cleanup(json_freep) json_t *entry = json_object();
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const json_t *value = json_object_get(given, members[i]);
        if (!json_is_string(value)) {
            if (i < N_REQUIRED)
                return NULL;
            continue;
        }
        _cleanup(freep) char *text =
            text_clean(json_string_value(value), json_string_length(value), TEXT_MAX);
        if (!entry || !text || json_object_set_new(entry, members[i], json_string(text)) < 0)
            return NULL;
    }
    return TAKE(entry);
}

static json_t *load(int dirfd) {
    _cleanup(estc_buf_clear) struct estc_buf file = {0};
    json_t *list = json_array();
    if (dirfd < 0 || store_read_file(dirfd, HISTORY, FILE_MAX, &file, NULL))
        return list;
    _cleanup(json_freep) json_t *json = ctl_json_object((const char *)file.data, file.len);
    const json_t *results = json_object_get(json, "results");
    size_t n = json_array_size(results);
    for (size_t i = n > STORE_HISTORY_MAX ? n - STORE_HISTORY_MAX : 0; list && i < n; i++) {
        json_t *entry = clean(json_array_get(results, i));
        if (entry)
            json_array_append_new(list, entry);
    }
    return list;
}

json_t *store_load_history(const char *state_directory, const char *id) {
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, false, NULL);
    return load(dirfd);
}

static json_t *entry_of(const struct store_result *result) {
    char time[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];
    _cleanup(json_freep) json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "time", clock_text(result->time, time), "action",
        result->action, "result", estc_status_name(result->code), "text", result->text, "serial",
        result->serial, "not_after", result->serial ? clock_text(result->not_after, end) : NULL);
    return json ? clean(json) : NULL;
}

int store_add_history(const char *state_directory, const char *id,
                      const struct store_result *result, struct estc_error *err) {
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, true, err);
    if (dirfd < 0)
        return dirfd;
    _cleanup(json_freep) json_t *list = load(dirfd);
    json_t *entry = entry_of(result);
    if (!list || !entry || json_array_append_new(list, entry) < 0)
        return estc_error_set(err, -ENOMEM, "out of memory");
    while (json_array_size(list) > STORE_HISTORY_MAX)
        json_array_remove(list, 0);
    _cleanup(json_freep) json_t *json = json_pack("{s:O}", "results", list);
    return json ? store_write_json(dirfd, HISTORY, json, true, STORE_FILE_MODE, err)
                : estc_error_set(err, -ENOMEM, "out of memory");
}
