/* SPDX-License-Identifier: BSD-2-Clause */
/* est-registrar.conf: what holds without being said, what is refused, and the sample. */
#include "conf_file.h"

#include <estc/log.h>

#include "est-registrar/config.h"
#include "est-registrar/template.h"

#define SERVER "server = { certificate = \"s.pem\"; key = \"/k/s.key\"; };\n"
#define CA "ca = { certificate = \"ca.pem\"; key = \"ca.key\"; };\n"
#define CLIENT_CAS "client_cas = ( { name = \"f\"; certificate = \"f.pem\"; } );\n"
#define HEAD SERVER CA CLIENT_CAS
#define RULE(more) HEAD "rules = (\n { name = \"r\"; client_ca = \"f\"; " more " } );\n"

static struct config *load(struct conf_place *c, const char *text) {
    struct config *config = NULL;
    conf_errors_clear(&c->errors);
    conf_write(c, "est-registrar.conf", text);
    int rc = config_load(c->path, &config, &c->errors);
    assert_true(rc == (conf_errors_any(&c->errors) ? ESTC_E_CONFIG : 0));
    assert_true(rc == 0 || config == NULL);
    return config;
}

static struct config *load_good(struct conf_place *c, const char *text) {
    struct config *config = load(c, text);
    assert_no_errors(&c->errors);
    return config;
}

static void what_is_not_said_has_a_value(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(c, RULE(""));
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/s.pem", c->place->path);
    assert_string_equal(config->server_certificate, path);
    assert_string_equal(config->server_key, "/k/s.key");
    assert_string_equal(config->address, "::");
    assert_int_equal(config->port, 5684);
    assert_string_equal(config->ledger, "/var/lib/est-registrar/ledger.sqlite");
    assert_null(config->ca_chain);
    assert_int_equal(config->lifetime, 90 * 86400);
    assert_int_equal(config->backdate, 300);
    assert_int_equal(config->repeat_window, 86400);
    assert_int_equal(config->max_body, 16384);
    assert_int_equal(config->max_sessions, 1024);
    assert_int_equal(config->idle_timeout, 60);
    assert_int_equal(config->log_level, ESTC_LOG_INFO);
    assert_string_equal(config->control_socket, "/run/est-registrar/control");
    assert_false(config_needs_approval(config));
    const struct config_rule *rule = config_rule_find(config, "r");
    assert_ptr_equal(rule, config_rule_at(config, 0));
    assert_null(rule->label);
    assert_null(rule->dns);
    assert_int_equal(rule->lifetime, 0);
    assert_int_equal(rule->pop, CONFIG_POP_OPTIONAL);
    assert_int_equal(rule->approval, CONFIG_APPROVAL_AUTOMATIC);
    assert_int_equal(rule->hold, 0);
    assert_int_equal(rule->retry_after, 60);
    assert_int_equal(rule->eku, CONFIG_EKU_SERVER | CONFIG_EKU_CLIENT);
    assert_null(config_rule_find(config, "R"));
    assert_string_equal(config_client_ca_at(config, 0)->name, "f");
    config_free(config);
    assert_null(config_free(NULL));
}

static void usages_become_bits(void **state) {
    static const struct {
        const char *text;
        unsigned eku;
    } rows[] = {
        {"[ \"clientAuth\" ]", CONFIG_EKU_CLIENT},
        {"[ \"serverAuth\" ]", CONFIG_EKU_SERVER},
        {"\"serverAuth\"", CONFIG_EKU_SERVER},
        {"[ \"clientAuth\", \"serverAuth\", \"clientAuth\" ]",
         CONFIG_EKU_CLIENT | CONFIG_EKU_SERVER},
        {"[ ]", CONFIG_EKU_CLIENT | CONFIG_EKU_SERVER}, /* never a certificate for everything */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[1024];
        snprintf(text, sizeof(text), RULE("extended_key_usage = %s;"), rows[i].text);
        struct config *config = load_good(*state, text);
        assert_int_equal(config_rule_at(config, 0)->eku, rows[i].eku);
        config_free(config);
    }
}

static void what_is_wrong_is_named_with_its_line(void **state) {
    struct conf_place *c = *state;
    static const struct {
        const char *text, *says, *remedy;
    } rows[] = {
        {"", "'server' is missing", ""},
        {SERVER CLIENT_CAS, "'ca' is missing", ""},
        {HEAD, "rules", "nobody could enroll: add one"},
        {RULE("colour = \"red\";"), ":5: ", "colour"},
        {RULE("ip = [ \"10.0.0.0/8\", \"10.0.0.0/33\" ];"), "ip: '10.0.0.0/33' is no address", ""},
        {RULE("dns = [ \"a\", \"${CM}.local\" ];"), "dns: pattern '${CM}.local'",
         "use one of CN, O"},
        {RULE("uri = [ \"coaps:${CN\" ];"), "uri: pattern", "without '}'"},
        {RULE("email = [ \"${x}\" ];"), "email: pattern", "there is no '${x}'"},
        {RULE("subject = { serialNumber = [ \"${SN}\" ]; };"), "subject.serialNumber: ", "'${SN}'"},
        {RULE("subject = { UID = [ \"${\" ]; };"), "subject.UID: ", "without '}'"},
        {RULE("subject = { emailAddress = [ \"x\" ]; };"), "emailAddress", ""},
        {RULE("extended_key_usage = [ \"cmcRA\" ];"), "'cmcRA' is never issued", "clientAuth"},
        {RULE("extended_key_usage = [ \"1.3.6.1.5.5.7.3.28\" ];"), "is never issued", ""},
        {RULE("key_types = [ \"p256\", \"ed25519\" ];"), "key_types: 'ed25519' is none of", "p384"},
        {RULE("label = \"a/b\";"), "label", ""},
        {RULE("label = \"sen\";"), "label", ""},
        {RULE("lifetime = \"0s\";"), "lifetime: 0s", "it may be from 1 s to 30 y"},
        {RULE("lifetime = \"31y\";"), "lifetime: 31y is out of range", "30 y"},
        {RULE("dns = [ \"\" ];"), "dns", "is empty"},
        {HEAD "rules = ( { name = \"r\"; client_ca = \"g\"; } );",
         "client_ca: 'g' is not in client_c", "add it there"},
        {HEAD "rules = ( { client_ca = \"f\"; } );", "'name' is missing", ""},
        {HEAD
         "rules = ( { name = \"r\"; client_ca = \"f\"; },\n { name = \"r\"; client_ca = \"f\"; });",
         "rule 'r' stands in line", "already"},
        {SERVER CA "client_cas = ( { name = \"f\"; certificate = \"x\"; },\n"
                   "{ name = \"f\"; certificate = \"y\"; } );",
         "client CA 'f' stands in line 3 already", ""},
        {"address = \"localhost\";" RULE(""), "'localhost' is no numeric address", "192.0.2.1"},
        {"address = \"fe80::1%eth0\";" RULE(""), "is no numeric address", ""},
        {"port = 0;" RULE(""), "port", "from 1 to 65535"},
        {"port = 65536;" RULE(""), "port", "from 1 to 65535"},
        {"max_body = \"2M\";" RULE(""), "max_body", "out of range"},
        {"max_body = \"100\";" RULE(""), "max_body", "out of range"},
        {"repeat_window = \"31d\";" RULE(""), "repeat_window", "out of range"},
        {"idle_timeout = \"1s\";" RULE(""), "idle_timeout", "out of range"},
        {"log_level = \"loud\";" RULE(""), "log_level", "none of"},
        {"rules = [ \"x\" ];" HEAD, "rules", "expected a list of groups"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (load(c, rows[i].text))
            fail_msg("%zu: taken: %s", i, rows[i].text);
        assert_says(&c->errors, "est-registrar.conf:");
        assert_says(&c->errors, rows[i].says, rows[i].remedy);
    }
}

static void all_errors_come_in_one_run(void **state) {
    struct conf_place *c = *state;
    assert_null(load(c, "address = \"x\"; port = 0;\n" SERVER CA CLIENT_CAS
                        "rules = ( { name = \"a\"; client_ca = \"nobody\"; ip = \"x\"; },\n"
                        "{ name = \"b\"; client_ca = \"f\"; key_types = \"x\"; dns = \"${\"; },\n"
                        "{ name = \"b\"; client_ca = \"f\"; extended_key_usage = \"x\"; } );"));
    assert_int_equal(errors_count(&c->errors), 8);
    for (char **line = c->errors.lines; *line; line++)
        assert_non_null(strstr(*line, "/est-registrar.conf:"));
}

static void a_file_that_is_not_there_or_no_configuration(void **state) {
    struct conf_place *c = *state;
    struct config *config = NULL;
    assert_int_equal(config_load("/nonexistent/r.conf", &config, &c->errors), ESTC_E_CONFIG);
    assert_says(&c->errors, "/nonexistent/r.conf");
    assert_null(load(c, SERVER "ca = { certificate = ;\n"));
    assert_says(&c->errors, "est-registrar.conf:2: ");
}

/* --- what init writes, and the sample --- */

static void what_init_writes_is_valid(void **state) {
    struct conf_place *c = *state;
    static const char *const lifetimes[] = {"1s", "12h", "90d", "30y"};
    for (size_t i = 0; i < sizeof(lifetimes) / sizeof(lifetimes[0]); i++) {
        char text[4096];
        int len = snprintf(text, sizeof(text), init_config_template, lifetimes[i]);
        assert_in_range(len, 1, (int)sizeof(text) - 1);
        struct config *config = load_good(c, text);
        int64_t lifetime = 0;
        assert_int_equal(conf_parse_duration(lifetimes[i], &lifetime), 0);
        assert_int_equal(config->lifetime, lifetime);
        assert_int_equal(config->rules.n, 2);
        config_free(config);
    }
}

static char *sample_text(void) {
    struct estc_buf text = {0};
    struct estc_error err = {0};
    char path[PATH_MAX];
    const char *vectors = getenv("TESTS_VECTORS");
    snprintf(path, sizeof(path), "%s/../../conf/est-registrar.conf",
             vectors ? vectors : "tests/vectors");
    if (fs_read(AT_FDCWD, path, 1 << 20, &text, NULL, &err))
        fail_msg("%s", err.text);
    char *copy = strdup((char *)text.data);
    estc_buf_clear(&text);
    return copy;
}

static void assert_shows_keys(const char *text, const struct conf_key *keys) {
    for (const struct conf_key *k = keys; k->name; k++) {
        char assigned[80];
        snprintf(assigned, sizeof(assigned), "%s =", k->name);
        if (!strstr(text, assigned))
            fail_msg("the sample does not show '%s'", k->name);
        if (k->group)
            assert_shows_keys(text, k->group);
    }
}

static void the_sample_says_what_holds_and_shows_every_key(void **state) {
    struct conf_place *c = *state;
    char *text = sample_text();
    assert_null(load(c, text)); /* all commented out: what is required is missing */
    assert_int_equal(errors_count(&c->errors), 3);
    assert_shows_keys(text, registrar_config_keys);
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *mark = line + strspn(line, " ");
        if (mark[0] == '#' && mark[1] != ' ' && mark[1] != '\n')
            mark[0] = ' ';
    }
    struct config *sample = load_good(c, text);
    free(text);
    struct config *plain = load_good(c, RULE(""));
    assert_string_equal(sample->address, plain->address);
    assert_int_equal(sample->port, plain->port);
    assert_string_equal(sample->ledger, plain->ledger);
    assert_int_equal(sample->lifetime, plain->lifetime);
    assert_int_equal(sample->backdate, plain->backdate);
    assert_int_equal(sample->repeat_window, plain->repeat_window);
    assert_int_equal(sample->max_body, plain->max_body);
    assert_int_equal(sample->max_sessions, plain->max_sessions);
    assert_int_equal(sample->idle_timeout, plain->idle_timeout);
    assert_int_equal(sample->log_level, plain->log_level);
    assert_int_equal(sample->rules.n, 2);
    config_free(plain);
    config_free(sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(what_is_not_said_has_a_value),
        WITH_FILES(usages_become_bits),
        WITH_FILES(what_is_wrong_is_named_with_its_line),
        WITH_FILES(all_errors_come_in_one_run),
        WITH_FILES(a_file_that_is_not_there_or_no_configuration),
        WITH_FILES(what_init_writes_is_valid),
        WITH_FILES(the_sample_says_what_holds_and_shows_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
