/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the configuration reader: files written on the spot, and the errors they get. */
#pragma once

#include "place.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/conf.h"

struct conf_place {
    struct place *place;
    char path[PATH_MAX]; /* of the file written last */
    struct conf_errors errors;
};

static inline void conf_write_bytes(struct conf_place *c, const char *name, const void *text,
                                    size_t len) {
    struct estc_error err = {0};
    assert_int_equal(fs_write_atomic(c->place->fd, name, text, len, 0644, &err), 0);
    snprintf(c->path, sizeof(c->path), "%s/%s", c->place->path, name);
}

static inline void conf_write(struct conf_place *c, const char *name, const char *text) {
    conf_write_bytes(c, name, text, strlen(text));
}

/* One of the errors has all these parts, NULL-ended, in this order. */
#define assert_says(errors, ...) \
    assert_error_line(errors, (const char *const[]){__VA_ARGS__, NULL}, __LINE__)
static inline void assert_error_line(const struct conf_errors *errors, const char *const *parts,
                                     int line) {
    for (char **text = errors->lines; text && *text; text++) {
        const char *at = *text;
        for (const char *const *part = parts; at && *part; part++)
            at = (at = strstr(at, *part)) ? at + strlen(*part) : NULL;
        if (at)
            return;
    }
    for (char **text = errors->lines; text && *text; text++)
        print_message("  %s\n", *text);
    fail_msg("line %d: no error says '%s' ...", line, parts[0]);
}

static inline void assert_no_errors(const struct conf_errors *errors) {
    if (conf_errors_any(errors))
        fail_msg("%s", errors->lines[0]);
}

static inline size_t errors_count(const struct conf_errors *errors) {
    size_t n = 0;
    while (errors->lines && errors->lines[n])
        n++;
    return n;
}

static inline int conf_place_setup(void **state) {
    struct conf_place *c = calloc(1, sizeof(*c));
    void *place = NULL;
    int rc = place_setup(&place);
    c->place = place;
    *state = c;
    return rc;
}

static inline int conf_place_teardown(void **state) {
    struct conf_place *c = *state;
    void *place = c->place;
    conf_errors_clear(&c->errors);
    free(c);
    return place_teardown(&place);
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, conf_place_setup, conf_place_teardown)
