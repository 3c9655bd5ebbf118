/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * STATE/clock.json: the latest moment that is known to have passed, for a start with a clock that
 * knows less. Written rarely, taken as hostile when it is read; without it nothing is lost but
 * that knowledge.
 */
#include "store_internal.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "ctl/json.h"

#define CLOCK_FILE "clock.json"

int64_t store_load_clock(const char *state_directory) {
    struct estc_error err = {0};
    _cleanup(fs_closep) int dirfd = store_open_state(state_directory, &err);
    _cleanup(json_freep) json_t *json = NULL;
    int rc = dirfd < 0 ? dirfd : store_read_json(dirfd, CLOCK_FILE, &json, &err);
    const char *text = rc ? NULL : json_string_value(json_object_get(json, "passed"));
    int64_t passed;
    if (text && clock_parse(text, &passed) == 0)
        return passed;
    if (rc != -ENOENT)
        log_warning("%s/" CLOCK_FILE " cannot be used: %s", state_directory,
                    rc ? err.text : "it names no time");
    return 0;
}

int store_save_clock(const char *state_directory, int64_t passed, struct estc_error *err) {
    _cleanup(fs_closep) int dirfd = store_open_state(state_directory, err);
    if (dirfd < 0)
        return dirfd;
    char text[CLOCK_TEXT_MAX];
    _cleanup(json_freep) json_t *json = json_pack("{s:s}", "passed", clock_text(passed, text));
    return json ? store_write_json(dirfd, CLOCK_FILE, json, true, STORE_FILE_MODE, err)
                : estc_error_set(err, -ENOMEM, "out of memory");
}
