/* SPDX-License-Identifier: BSD-2-Clause */
/* estcd.conf with faults: each is named, with its place, all in one run. */
#include "config_fixture.h"

static void what_an_identity_lacks_or_gets_wrong(void **state) {
    static const struct {
        const char *text, *cause, *more;
    } cases[] = {
        {ONE(""), "gw: no name to ask for", "subject"},
        {ONE("subject = \"\";"), "gw: no name to ask for", "subject"},
        {ONE("subject = \"no name\";"), "gw: subject: ", "no name"},
        {ONE("subject = \"CN=a\"; subject_alt_names = [\"gw.example\"];"),
         "gw: subject_alt_names: ", "gw.example"},
        {ONE("subject = \"CN=a\"; subject_alt_names = [\"IP:300.1.1.1\"];"),
         "gw: subject_alt_names: ", "300.1.1.1"},
        {ONE("subject = \"CN=a\"; url = \"https://x\";"), "gw: url: ", "coaps://HOST"},
        {ONE("subject = \"CN=a\"; url = \"coap://x\";"), "gw: url: ", "coaps://HOST"},
        {ONE("subject = \"CN=a\"; url = \"\";"), "url", "empty"},
        {ONE("subject = \"CN=a\"; url = [\"coaps://a\", \"coap://b\"];"), "gw: url: ", "coap://b"},
        {ONE("subject = \"CN=a\"; url = [\"coaps://a\", \"coaps://b\", \"coaps://c\","
             "\"coaps://d\", \"coaps://e\", \"coaps://f\", \"coaps://g\", \"coaps://h\","
             "\"coaps://i\"];"),
         "gw: url: 9 servers", "at most 8"},
        {ONE("subject = \"CN=a\"; url = (\"coaps://a\", 5);"), "url", "a list of strings"},
        {ONE("subject = \"CN=a\"; label = \"a/b\";"), "gw: label", "a/b"},
        {ONE("subject = \"CN=a\"; label = \"sen\";"), "gw: label", "sen"},
        {ONE("subject = \"CN=a\"; block_size = 100;"), "gw: block_size: 100", "16, 32, 64"},
        {ONE("subject = \"CN=a\"; block_size = 8;"), "block_size: 8", "16 to 1024"},
        {ONE("subject = \"CN=a\"; key_type = \"p255\";"), "key_type: ", "p256, p384, rsa2048"},
        {ONE("subject = \"CN=a\"; renew_at = \"96%\";"), "renew_at: 96%", "10% to 95%"},
        {ONE("subject = \"CN=a\"; renew-at = \"66%\";"), "renew-at", "did you mean 'renew_at'?"},
        {ONE("subject = \"CN=a\"; attempt_timeout = \"9s\";"), "attempt_timeout: 9s",
         "10 s to 1 h"},
        {ONE("subject = \"CN=a\"; max_body = \"2M\";"), "max_body: 2M", "1024 to 1048576"},
        {ONE("subject = \"CN=a\"; mtu = 255;"), "mtu: 255", "256 to 9000"},
        {ONE("subject = \"CN=a\"; dtls_timeout = \"61s\";"), "dtls_timeout: 61s", "1 s to 1 min"},
        {ONE("subject = \"CN=a\"; ack_timeout = \"1s\";"), "ack_timeout: 1s", "2 s to 1 min"},
        {ONE("subject = \"CN=a\"; source = \"localhost\";"), "source: 'localhost'",
         "not an IPv4 or IPv6 address"},
        {ONE("subject = \"CN=a\"; interface = \"a/b\";"), "interface: 'a/b'", "cannot name"},
        {"identities = (\n { id = \"gw\"; subject = \"CN=a\"; birth = { key = \"/k\"; };"
         "url = \"coaps://x\"; trust = \"/t\"; } );",
         "gw: no birth credential", "certificate = "},
        {"identities = (\n { id = \"gw\"; subject = \"CN=a\"; url = \"coaps://x\"; trust = \"/t\";"
         "birth = { certificate = \"/c\"; }; } );",
         "gw: no birth credential", "key = "},
        {"identities = (\n { id = \"gw\"; subject = \"CN=a\"; url = \"coaps://x\";"
         "birth = { certificate = \"/c\"; key = \"/k\"; }; } );",
         "gw: no trust named", "trust = "},
        {"identities = (\n { id = \"gw\"; subject = \"CN=a\"; trust = \"/t\";"
         "birth = { certificate = \"/c\"; key = \"/k\"; }; } );",
         "gw: no server named", "url = "},
        {DEFAULTS "identities = (\n { subject = \"CN=a\"; } );", "'id' is missing", "id = "},
    };
    struct conf_place *c = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(load(c, cases[i].text));
        assert_says(&c->errors, c->path, ":", cases[i].cause, cases[i].more);
        assert_int_equal(errors_count(&c->errors), 1);
    }
}

static void names_that_are_no_file_names(void **state) {
    static const char *const names[] = {"..", ".",   "a/b",   "/etc",     "",      ".hidden",
                                        "-n", "a b", "a\\nb", "\xc3\xa4", "a\\\\b"};
    struct conf_place *c = *state;
    char text[2048], longest[301];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(text, sizeof(text), DEFAULTS "identities = (\n{ id = \"%s\"; } );", names[i]);
        assert_null(load(c, text));
        assert_says(&c->errors, ":3: id: '", "cannot name a folder", "letters, digits");
        /* and the rest is said in the same run */
        assert_says(&c->errors, ":3: this identity: no name to ask for");
    }
    memset(longest, 'x', 300);
    longest[300] = '\0';
    assert_false(config_id_valid(longest));
    longest[64] = '\0';
    assert_true(config_id_valid(longest));
    assert_true(config_id_valid("A-z_0.9"));
}

static void a_name_that_stands_twice_is_named_with_both_places(void **state) {
    struct conf_place *c = *state;
    assert_null(load(c, "defaults = { " COMMON " subject = \"CN=x\"; };\n"
                        "identities = (\n{ id = \"twice\"; },\n{ id = \"once\"; },\n"
                        "{ id = \"twice\"; } );"));
    char first[PATH_MAX + 8];
    snprintf(first, sizeof(first), "%s:3", c->path);
    assert_says(&c->errors, c->path, ":5: ", "'twice'", first, "identities");
    assert_int_equal(errors_count(&c->errors), 1);

    assert_int_equal(mkdirat(c->place->fd, "conf.d", 0755), 0);
    conf_write(c, "conf.d/a.conf", "\n\n\n\nidentities = ( { id = \"gw\"; } );");
    assert_null(load(c, ONE("subject = \"CN=gw\";")));
    assert_says(&c->errors, "'gw'", "identities");
    assert_says(&c->errors, "/conf.d/a.conf:5");
    assert_says(&c->errors, "/estcd.conf:3");
}

static void every_error_of_every_identity_in_one_run(void **state) {
    struct conf_place *c = *state;
    assert_null(load(
        c, "max_attempts = 0;\ncolour = 1;\nlog_level = \"loud\";\n"
           "control_socket = \"/run/a-very-long-path/a-very-long-path/a-very-long-path/a-very-long-"
           "path/a-very-long-path/a-very-long-path/control\";\n"
           "identities = (\n{ id = \"one\"; url = \"http://x\"; },\n"
           "{ id = \"..\"; subject = \"?\"; } );"));
    assert_says(&c->errors, ":1: max_attempts: 0", "1 to 64");
    assert_says(&c->errors, ":2: unknown key 'colour'");
    assert_says(&c->errors, ":3: log_level", "error, warning, notice, info, debug");
    assert_says(&c->errors, ":4: control_socket", "longer than 107 bytes");
    static const char *const one[] = {"url", "no trust", "no birth", "no name"};
    for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++)
        assert_says(&c->errors, ":6: one: ", one[i]);
    static const char *const two[] = {"no server", "no trust", "no birth", "subject"};
    for (size_t i = 0; i < sizeof(two) / sizeof(two[0]); i++)
        assert_says(&c->errors, ":7: this identity: ", two[i]);
    assert_int_equal(errors_count(&c->errors), 13);
}

static void a_file_that_is_not_there(void **state) {
    struct conf_place *c = *state;
    struct config *config = NULL;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/nowhere.conf", c->place->path);
    assert_int_equal(config_load(path, &config, &c->errors), ESTC_E_CONFIG);
    assert_null(config);
    assert_says(&c->errors, path, "no such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(what_an_identity_lacks_or_gets_wrong),
        WITH_FILES(names_that_are_no_file_names),
        WITH_FILES(a_name_that_stands_twice_is_named_with_both_places),
        WITH_FILES(every_error_of_every_identity_in_one_run),
        WITH_FILES(a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
