/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.json: what was written is read again, and nothing else is believed. */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "estcd/store.h"

static void what_was_written_is_read(void **state) {
    struct place *place = *state;
    static const int64_t moments[] = {1, 1803902400, 2147483648, 2524608000, 253402300799};
    assert_int_equal(store_load_clock(place->path), 0);
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        assert_int_equal(store_save_clock(place->path, moments[i], NULL), 0);
        assert_int_equal(store_load_clock(place->path), moments[i]);
    }
    assert_int_equal(entries(place->fd), 1);
}

static void without_its_folder_nothing_is_known(void **state) {
    struct place *place = *state;
    struct estc_error err = {0};
    char path[1200];
    snprintf(path, sizeof(path), "%s/none", place->path);
    assert_int_equal(store_load_clock(path), 0);
    assert_int_equal(store_save_clock(path, 1, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
}

static void anything_else_is_nothing(void **state) {
    struct place *place = *state;
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "7",
                                        "{}",
                                        "{\"passed\": 7}",
                                        "{\"passed\": \"\"}",
                                        "{\"passed\": null}",
                                        "{\"passed\": \"2027-03-01\"}",
                                        "{\"passed\": \"2027-13-01T12:00:00Z\"}",
                                        "{\"passed\": \"2027-03-01T12:00:00Z\"} x",
                                        "{\"at\": \"2027-03-01T12:00:00Z\"}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(
            fs_write_atomic(place->fd, "clock.json", texts[i], strlen(texts[i]), 0644, NULL), 0);
        assert_int_equal(store_load_clock(place->path), 0);
    }
    /* Cut off anywhere, as by a file system that has lost its end. */
    static const char good[] = "{\"passed\": \"2027-03-01T12:00:00Z\"}";
    for (size_t len = 0; len < strlen(good); len++) {
        assert_int_equal(fs_write_atomic(place->fd, "clock.json", good, len, 0644, NULL), 0);
        assert_int_equal(store_load_clock(place->path), 0);
    }
    /* No file at all, but something of its name. */
    assert_int_equal(unlinkat(place->fd, "clock.json", 0), 0);
    assert_int_equal(symlinkat("/etc/hostname", place->fd, "clock.json"), 0);
    assert_int_equal(store_load_clock(place->path), 0);
    assert_int_equal(unlinkat(place->fd, "clock.json", 0), 0);
    assert_int_equal(mkfifoat(place->fd, "clock.json", 0600), 0);
    assert_int_equal(store_load_clock(place->path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACED(what_was_written_is_read),
        PLACED(without_its_folder_nothing_is_known),
        PLACED(anything_else_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
