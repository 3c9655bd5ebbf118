/* SPDX-License-Identifier: BSD-2-Clause */
/* The message of the process that reads the state folder, which counts as hostile. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "estcd-deploy/material.h"

static void fill(struct material *m, size_t n_files) {
    m->generation = 7;
    m->serial = strdup("0815AF");
    m->not_after = 1900000000;
    for (size_t i = 0; i < MATERIAL_PARTS; i++)
        assert_int_equal(estc_buf_append(&m->parts[i], "part", i ? 4 : 0), 0);
    m->files = calloc(n_files + 1, sizeof(*m->files));
    m->n_files = n_files;
    for (size_t i = 0; i < n_files; i++)
        assert_int_equal(estc_buf_append(&m->files[i], "file\0x", 6), 0);
}

static void goes_there_and_back(void **state) {
    (void)state;
    _cleanup(material_clear) struct material m = {0}, back = {0};
    _cleanup(estc_buf_clear) struct estc_buf message = {0};
    fill(&m, 2);
    assert_int_equal(material_write(&m, &message, NULL), 0);
    assert_int_equal(material_read(message.data, message.len, 2, &back, NULL), 0);
    assert_int_equal(back.generation, 7);
    assert_string_equal(back.serial, "0815AF");
    assert_int_equal(back.not_after, 1900000000);
    assert_int_equal(back.parts[0].len, 0);
    assert_memory_equal(back.parts[MATERIAL_PARTS - 1].data, "part", 4);
    assert_int_equal(back.n_files, 2);
    assert_int_equal(back.files[1].len, 6);
    assert_memory_equal(back.files[1].data, "file\0x", 6);
}

/* Cut anywhere, with a byte changed anywhere, with more or fewer files: refused, or whole. */
static void nonsense_is_refused(void **state) {
    (void)state;
    _cleanup(material_clear) struct material m = {0};
    _cleanup(estc_buf_clear) struct estc_buf message = {0};
    fill(&m, 1);
    assert_int_equal(material_write(&m, &message, NULL), 0);
    for (size_t n = 0; n < message.len; n++) {
        struct material back = {0};
        char *cut = malloc(n + 1); /* so that a sanitizer sees one byte too many */
        memcpy(cut, message.data, n);
        assert_int_equal(material_read(cut, n, 1, &back, NULL), ESTC_E_MALFORMED);
        assert_null(back.files);
        free(cut);
    }
    for (size_t files = 0; files < 4; files++) {
        struct material back = {0};
        int rc = material_read(message.data, message.len, files, &back, NULL);
        assert_int_equal(rc, files == 1 ? 0 : ESTC_E_MALFORMED);
        material_clear(&back);
    }
    for (size_t at = 0; at < message.len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct material back = {0};
            message.data[at] ^= (unsigned char)(1 << bit);
            if (!material_read(message.data, message.len, 1, &back, NULL)) {
                assert_true(back.generation > 0);
                assert_int_equal(strspn(back.serial, "0123456789ABCDEF-"), strlen(back.serial));
            }
            material_clear(&back);
            message.data[at] ^= (unsigned char)(1 << bit);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_there_and_back),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
