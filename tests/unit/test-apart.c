/* SPDX-License-Identifier: BSD-2-Clause */
/* Work in a process of its own: what comes back, and what becomes of a child that fails. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/apart.h"
#include "config_fixture.h"

static int changed;

static int say(struct estc_buf *out, void *arg) {
    changed = 1;
    return estc_buf_append(out, arg, strlen(arg));
}

static int say_much(struct estc_buf *out, void *arg) {
    (void)arg;
    for (int i = 0; i < 100000; i++)
        if (estc_buf_append(out, "0123456789", 10))
            return -ENOMEM;
    return 0;
}

static int refuse(struct estc_buf *out, void *arg) {
    (void)arg;
    estc_buf_append(out, "half", 4);
    return -EPERM;
}

static int die(struct estc_buf *out, void *arg) {
    (void)out;
    (void)arg;
    raise(SIGKILL);
    return 0;
}

static int leave(struct estc_buf *out, void *arg) {
    (void)out;
    (void)arg;
    _exit(0);
}

static void what_was_found_comes_back_and_nothing_else(void **state) {
    (void)state;
    struct estc_buf out = {0};
    struct estc_error err = {0};
    char text[] = "found";
    assert_int_equal(apart_run(say, text, 100, &out, &err), 0);
    assert_int_equal(out.len, 5);
    assert_string_equal((const char *)out.data, "found");
    assert_int_equal(changed, 0);
    estc_buf_clear(&out);
    assert_int_equal(apart_run(say_much, NULL, 1000000, &out, &err), 0);
    assert_int_equal(out.len, 1000000);
    estc_buf_clear(&out);
}

static void a_child_that_fails_is_an_error(void **state) {
    (void)state;
    struct estc_buf out = {0};
    struct estc_error err = {0};
    assert_int_equal(apart_run(refuse, NULL, 100, &out, &err), -EPERM);
    assert_int_equal(apart_run(die, NULL, 100, &out, &err), -EIO);
    assert_int_equal(apart_run(leave, NULL, 100, &out, &err), -EIO);
    assert_non_null(strstr(err.text, "child"));
    assert_int_equal(apart_run(say_much, NULL, 999999, &out, &err), -EFBIG);
    assert_null(out.data);
}

static void names_are_judged_alike(void **state) {
    struct conf_place *c = *state;
    static const char *const texts[] = {
        ONE("subject = \"CN=a\"; reload = \"x.service\";"),
        ONE("subject = \"nonsense\"; subject_alt_names = [ \"DNS:a\", \"what:b\" ];"),
        ONE("key_type = \"p384\"; label = \"l\"; subject_alt_names = \"DNS:b\";"),
        ONE("url = \"http://x\"; subject = \"=\";"),
        "",
    };
    for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++) {
        struct config *here = load(c, texts[n]), *apart = NULL;
        struct conf_errors errors = {0};
        int rc = config_load_by(c->path, config_names_apart, &apart, &errors);
        assert_int_equal(rc, here ? 0 : ESTC_E_CONFIG);
        for (size_t i = 0; c->errors.lines && c->errors.lines[i]; i++)
            assert_string_equal(errors.lines[i], c->errors.lines[i]);
        for (size_t i = 0; here && i < config_count(here); i++) {
            const struct config_identity *a = config_at(here, i), *b = config_at(apart, i);
            assert_string_equal(a->request_digest, b->request_digest);
            assert_string_equal(a->rest_digest, b->rest_digest);
            assert_string_equal(a->deploy.digest ? a->deploy.digest : "",
                                b->deploy.digest ? b->deploy.digest : "");
        }
        conf_errors_clear(&errors);
        config_free(here);
        config_free(apart);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_found_comes_back_and_nothing_else),
        cmocka_unit_test(a_child_that_fails_is_an_error),
        WITH_FILES(names_are_judged_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
