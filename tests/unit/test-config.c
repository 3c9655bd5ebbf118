/* SPDX-License-Identifier: BSD-2-Clause */
/* estcd.conf: what is inherited, and the sample that is installed. */
#include <time.h>

#include <estc/log.h>

#include "common/journal.h"
#include "config_fixture.h"
#include "est/wishes.h"

/* --- what is read --- */

static void an_empty_file_is_a_configuration(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(c, "");
    assert_string_equal(config->state_directory, "/var/lib/estcd");
    assert_string_equal(config->control_socket, "/run/estcd/control");
    assert_int_equal(config->log_level, ESTC_LOG_INFO);
    assert_int_equal(config->max_attempts, 4);
    assert_int_equal(config_count(config), 0);
    assert_null(config_find(config, "gw"));
    config_free(config);
    assert_null(config_free(NULL));
}

static void an_identity_inherits_what_it_does_not_say(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(c, ONE("subject = \"CN=gw\";"));
    const struct config_identity *i = config_find(config, "gw");
    char expected[PATH_MAX + 32];
    snprintf(expected, sizeof(expected), "%s/trust.pem", c->place->path);
    assert_string_equal(i->trust, expected);
    assert_string_equal(i->urls[0], "coaps://est.example");
    assert_null(i->urls[1]);
    assert_string_equal(i->birth_certificate, "/b/cert.pem");
    assert_string_equal(i->birth_key, "/b/key.pem");
    assert_null(i->label);
    assert_null(i->subject_alt_names);
    assert_int_equal(i->key_type, ESTC_KEY_P256);
    assert_int_equal(i->renew_at, 660);
    assert_int_equal(i->attempt_timeout, 300);
    assert_int_equal(i->pending_timeout, 30 * 86400);
    assert_int_equal(i->pop, CONFIG_POP_AUTO);
    assert_int_equal(i->prove, CONFIG_PROVE_AUTO);
    assert_int_equal(i->block_size, 1024);
    assert_int_equal(i->max_body, 65536);
    assert_int_equal(i->mtu, 1280);
    assert_int_equal(i->dtls_timeout, 1);
    assert_int_equal(i->ack_timeout, 2);
    assert_null(i->source);
    assert_null(i->interface);
    assert_int_equal(i->allow_rsa_server, CONF_FALSE);
    assert_int_equal(i->origin.line, 3);
    config_free(config);

    config = load_good(c, "defaults = { " COMMON " subject = \"CN=all\"; label = \"l\";"
                          "subject_alt_names = [\"DNS:all\"]; key_type = \"rsa3072\";"
                          "renew_at = \"50%\"; attempt_timeout = \"1m\"; block_size = 64;"
                          "pending_timeout = \"2m\"; pop = \"never\"; prove = \"always\";"
                          "mtu = 576; dtls_timeout = \"9s\"; ack_timeout = \"5s\";"
                          "source = \"192.0.2.1\"; interface = \"wwan0\";"
                          "max_body = \"1K\"; allow_rsa_server = true; };"
                          "identities = ( { id = \"gw\"; } );");
    i = config_at(config, 0);
    assert_string_equal(i->subject, "CN=all");
    assert_string_equal(i->label, "l");
    assert_string_equal(i->subject_alt_names[0], "DNS:all");
    assert_int_equal(i->key_type, ESTC_KEY_RSA3072);
    assert_int_equal(i->renew_at, 500);
    assert_int_equal(i->attempt_timeout, 60);
    assert_int_equal(i->pending_timeout, 120);
    assert_int_equal(i->pop, CONFIG_POP_NEVER);
    assert_int_equal(i->prove, CONFIG_PROVE_ALWAYS);
    assert_int_equal(i->block_size, 64);
    assert_int_equal(i->max_body, 1024);
    assert_int_equal(i->mtu, 576);
    assert_int_equal(i->dtls_timeout, 9);
    assert_int_equal(i->ack_timeout, 5);
    assert_string_equal(i->source, "192.0.2.1");
    assert_string_equal(i->interface, "wwan0");
    assert_int_equal(i->allow_rsa_server, CONF_TRUE);
    config_free(config);
}

static void what_an_identity_says_wins(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(
        c, "defaults = { " COMMON " subject = \"CN=all\"; label = \"l\"; key_type = \"rsa3072\";"
           "renew_at = \"50%\"; allow_rsa_server = true; subject_alt_names = [\"DNS:all\"]; };"
           "identities = ( { id = \"gw\"; url = \"coaps://[2001:db8::1]:61617/est\"; label = \"m\";"
           "trust = \"/t.pem\"; birth = { certificate = \"/c\"; key = \"/k\"; };"
           "subject = \"\"; subject_alt_names = [\"DNS:gw\", \"IP:192.0.2.1\"];"
           "key_type = \"p256\"; renew_at = 0.7; allow_rsa_server = false; } );");
    const struct config_identity *i = config_at(config, 0);
    assert_string_equal(i->urls[0], "coaps://[2001:db8::1]:61617/est");
    assert_string_equal(i->label, "m");
    assert_string_equal(i->trust, "/t.pem");
    assert_string_equal(i->birth_key, "/k");
    assert_string_equal(i->subject, "");
    assert_string_equal(i->subject_alt_names[1], "IP:192.0.2.1");
    assert_null(i->subject_alt_names[2]);
    assert_int_equal(i->key_type, ESTC_KEY_P256);
    assert_int_equal(i->renew_at, 700);
    assert_int_equal(i->allow_rsa_server, CONF_FALSE);
    config_free(config);
}

static void a14_only_harmless_wishes_are_obeyed_unless_said(void **state) {
    struct conf_place *c = *state;
    static const struct {
        const char *text;
        unsigned kinds;
    } rows[] = {
        {"", WISHES_BIT(WISHES_KEY) | WISHES_BIT(WISHES_SIGNATURE) | WISHES_BIT(WISHES_POP)},
        {"obey = \"none\";", 0},
        {"obey = [ \"names\" ];", WISHES_BIT(WISHES_NAMES)},
        {"obey = ( \"extensions\", \"key\" );",
         WISHES_BIT(WISHES_EXTENSIONS) | WISHES_BIT(WISHES_KEY)},
    };
    char text[1024];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), ONE("subject = \"CN=gw\"; %s"), rows[i].text);
        struct config *config = load_good(c, text);
        assert_int_equal(config_at(config, 0)->obey_kinds, rows[i].kinds);
        config_free(config);
    }
    /* Said once for all, and otherwise by one of them. */
    struct config *config =
        load_good(c, "defaults = { " COMMON " subject = \"CN=all\"; obey = \"names\"; };\n"
                     "identities = ( { id = \"a\"; }, { id = \"b\"; obey = \"none\"; } );\n");
    assert_int_equal(config_find(config, "a")->obey_kinds, WISHES_BIT(WISHES_NAMES));
    assert_int_equal(config_find(config, "b")->obey_kinds, 0);
    config_free(config);
    static const char *const bad[] = {"obey = \"everything\";", "obey = [ \"none\", \"key\" ];"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), ONE("subject = \"CN=gw\"; %s"), bad[i]);
        assert_null(load(c, text));
        assert_non_null(strstr(c->errors.lines[0], "obey: '"));
    }
}

static void key_types_are_the_librarys(void **state) {
    struct conf_place *c = *state;
    for (int type = 0; type < ESTC_KEY_TYPE_MAX_; type++) {
        char text[1024];
        snprintf(text, sizeof(text), ONE("subject = \"CN=gw\"; key_type = \"%s\";"),
                 estc_key_type_name((enum estc_key_type)type));
        struct config *config = load_good(c, text);
        assert_int_equal(config_at(config, 0)->key_type, type);
        config_free(config);
    }
}

static void several_urls_keep_their_order(void **state) {
    struct config *config = load_good(
        *state, "defaults = { url = [\"coaps://a\", \"coaps://b:99/x\"]; trust = \"/t\";"
                "birth = { certificate = \"/b\"; key = \"/k\"; }; subject = \"CN=x\"; };"
                "identities = ( { id = \"two\"; }, { id = \"one\"; url = \"coaps://c\"; },"
                "{ id = \"none\"; url = []; } );");
    const struct config_identity *two = config_find(config, "two");
    assert_string_equal(two->urls[0], "coaps://a");
    assert_string_equal(two->urls[1], "coaps://b:99/x");
    assert_null(two->urls[2]);
    const struct config_identity *one = config_find(config, "one");
    assert_string_equal(one->urls[0], "coaps://c");
    assert_null(one->urls[1]);
    /* An empty list says nothing. */
    assert_string_equal(config_find(config, "none")->urls[0], "coaps://a");
    config_free(config);
}

static void identities_are_sorted_and_found(void **state) {
    struct config *config =
        load_good(*state, "defaults = { " COMMON " subject = \"CN=x\"; };"
                          "identities = ( { id = \"m\"; }, { id = \"z\"; }, { id = \"a\"; } );");
    assert_int_equal(config_count(config), 3);
    assert_string_equal(config_at(config, 0)->id, "a");
    assert_string_equal(config_at(config, 2)->id, "z");
    assert_ptr_equal(config_find(config, "m"), config_at(config, 1));
    assert_null(config_find(config, "n"));
    config_free(config);
}

static void conf_d_adds_identities_and_replaces_keys(void **state) {
    struct conf_place *c = *state;
    assert_int_equal(mkdirat(c->place->fd, "conf.d", 0755), 0);
    conf_write(c, "conf.d/10.conf",
               "identities = ( { id = \"more\"; subject = \"CN=more\"; } );"
               "defaults = { renew_at = \"80%\"; }; max_attempts = 9;");
    struct config *config = load_good(c, "max_attempts = 2;" ONE("subject = \"CN=gw\";"));
    assert_int_equal(config_count(config), 2);
    assert_int_equal(config->max_attempts, 9);
    assert_int_equal(config_find(config, "gw")->renew_at, 800);
    assert_string_equal(config_find(config, "more")->urls[0], "coaps://est.example");
    assert_non_null(strstr(config_find(config, "more")->origin.file, "/conf.d/10.conf"));
    config_free(config);
}

/* --- many --- */

static void ten_thousand_identities_load_fast(void **state) {
    enum { MANY = 10000 };
    struct conf_place *c = *state;
    char *text = malloc(MANY * 120 + 1000), *at = text;
    at += sprintf(at, "%s", DEFAULTS "identities = (");
    for (int i = 0; i < MANY; i++)
        at += sprintf(at,
                      "%s\n{ id = \"gw-%d\"; subject = \"CN=gw-%d\"; "
                      "subject_alt_names = [\"DNS:gw-%d.example\"]; }",
                      i ? "," : "", i * 7919 % MANY, i, i);
    sprintf(at, ");");
    clock_t start = clock();
    struct config *config = load_good(c, text);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    free(text);
    assert_int_equal(config_count(config), MANY);
    assert_string_equal(config_find(config, "gw-7919")->subject, "CN=gw-1");
    config_free(config);
    if (seconds > 10)
        fail_msg("%.1f s", seconds);
}

/* --- the sample that is installed --- */

static char *sample_text(void) {
    struct estc_buf text = {0};
    struct estc_error err = {0};
    char path[PATH_MAX];
    const char *vectors = getenv("TESTS_VECTORS");
    snprintf(path, sizeof(path), "%s/../../conf/estcd.conf", vectors ? vectors : "tests/vectors");
    if (fs_read(AT_FDCWD, path, 1 << 20, &text, NULL, &err))
        fail_msg("%s", err.text);
    char *copy = strdup((char *)text.data);
    estc_buf_clear(&text);
    return copy;
}

static void the_sample_changes_nothing(void **state) {
    struct conf_place *c = *state;
    char *text = sample_text();
    struct config *config = load_good(c, text);
    free(text);
    assert_int_equal(config_count(config), 0);
    config_free(config);
}

static bool names_key(const char *text, const char *name) {
    char assigned[80];
    snprintf(assigned, sizeof(assigned), "%s =", name);
    return strstr(text, assigned) != NULL;
}

static void assert_shows_keys(const char *text, const struct conf_key *keys) {
    for (const struct conf_key *k = keys; k->name; k++) {
        if (!names_key(text, k->name))
            fail_msg("the sample does not show '%s'", k->name);
        if (k->group)
            assert_shows_keys(text, k->group);
    }
}

static void the_sample_without_its_marks_is_valid_and_shows_every_key(void **state) {
    struct conf_place *c = *state;
    char *text = sample_text();
    assert_shows_keys(text, config_keys);
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *mark = line + strspn(line, " ");
        if (mark[0] == '#' && mark[1] != ' ' && mark[1] != '\n')
            mark[0] = ' ';
    }
    struct config *config = load_good(c, text);
    free(text);
    assert_int_equal(config_count(config), 2);
    const struct config_identity *mqtt = config_find(config, "mqtt");
    /* What it shows outside the identities is what holds without it. */
    struct config *plain = load_good(c, ONE("subject = \"CN=gw\";"));
    const struct config_identity *built_in = config_at(plain, 0);
    assert_string_equal(config->state_directory, plain->state_directory);
    assert_string_equal(config->control_socket, plain->control_socket);
    assert_int_equal(config->log_level, plain->log_level);
    assert_int_equal(config->max_attempts, plain->max_attempts);
    assert_int_equal(mqtt->renew_at, built_in->renew_at);
    assert_int_equal(mqtt->attempt_timeout, built_in->attempt_timeout);
    assert_int_equal(mqtt->key_type, built_in->key_type);
    assert_int_equal(mqtt->block_size, built_in->block_size);
    assert_int_equal(mqtt->max_body, built_in->max_body);
    assert_int_equal(mqtt->allow_rsa_server, built_in->allow_rsa_server);
    config_free(plain);
    config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(an_empty_file_is_a_configuration),
        WITH_FILES(an_identity_inherits_what_it_does_not_say),
        WITH_FILES(what_an_identity_says_wins),
        WITH_FILES(a14_only_harmless_wishes_are_obeyed_unless_said),
        WITH_FILES(key_types_are_the_librarys),
        WITH_FILES(several_urls_keep_their_order),
        WITH_FILES(identities_are_sorted_and_found),
        WITH_FILES(conf_d_adds_identities_and_replaces_keys),
        WITH_FILES(ten_thousand_identities_load_fast),
        WITH_FILES(the_sample_changes_nothing),
        WITH_FILES(the_sample_without_its_marks_is_valid_and_shows_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
