/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of files: a folder of each test's own, and what is in it. */
#pragma once

#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

struct place {
    char *path;
    int fd;
};

static inline int place_setup(void **state) {
    struct place *place = calloc(1, sizeof(*place));
    place->path = support_tmpdir();
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return place->fd < 0 ? -1 : 0;
}

static inline int place_teardown(void **state) {
    struct place *place = *state;
    close(place->fd);
    support_tmpdir_remove(place->path);
    free(place);
    return 0;
}

static inline int entries(int dirfd) {
    DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assert_non_null(dir);
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static inline void assert_content(int dirfd, const char *path, const char *expected) {
    struct estc_buf buf = {0};
    struct estc_error err = {0};
    if (fs_read(dirfd, path, 1 << 20, &buf, NULL, &err))
        fail_msg("%s", err.text);
    assert_string_equal(buf.data ? (char *)buf.data : "", expected);
    estc_buf_clear(&buf);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)
