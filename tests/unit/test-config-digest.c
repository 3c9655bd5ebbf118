/* SPDX-License-Identifier: BSD-2-Clause */
/* What of an identity makes another request of it, and what does not. */
#include "config_fixture.h"

static void digest_of(struct conf_place *c, const char *text, char out[65]) {
    struct config *config = load_good(c, text);
    assert_int_equal(strlen(config_at(config, 0)->request_digest), 64);
    strcpy(out, config_at(config, 0)->request_digest);
    config_free(config);
}

#define ASKED "subject = \"CN=gw\"; subject_alt_names = [\"DNS:a\", \"DNS:b\"];"

static void the_digest_tells_requests_apart(void **state) {
    struct conf_place *c = *state;
    static const char *const others[] = {
        ONE("subject = \"CN=gx\"; subject_alt_names = [\"DNS:a\", \"DNS:b\"];"),
        ONE("subject = \"CN=gw\"; subject_alt_names = [\"DNS:a\"];"),
        ONE("subject = \"CN=gw\"; subject_alt_names = [\"DNS:a\", \"DNS:b\", \"DNS:b\"];"),
        ONE("subject = \"CN=gw\";"),
        ONE("subject_alt_names = [\"DNS:a\", \"DNS:b\"];"),
        ONE(ASKED "label = \"l\";"),
        ONE(ASKED "key_type = \"p384\";"),
        ONE(ASKED "key = { origin = \"server\"; };"),
        ONE(ASKED "url = \"coaps://est.example/other\";"),
        ONE("label = \"l\"; subject_alt_names = [\"DNS:a\", \"DNS:b\"];"),
    };
    enum { N = sizeof(others) / sizeof(others[0]) };
    char digests[N + 1][65];
    digest_of(c, ONE(ASKED), digests[N]);
    for (size_t i = 0; i < N; i++)
        digest_of(c, others[i], digests[i]);
    for (size_t i = 0; i <= N; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(digests[i], digests[k]);
}

static void rest_of(struct conf_place *c, const char *text, char out[65]) {
    struct config *config = load_good(c, text);
    assert_int_equal(strlen(config_at(config, 0)->rest_digest), 64);
    strcpy(out, config_at(config, 0)->rest_digest);
    config_free(config);
}

/* What other names can be told by: everything else is as it was. */
static void e09_the_digest_of_the_rest_knows_no_names(void **state) {
    struct conf_place *c = *state;
    static const struct {
        const char *text;
        bool same;
    } rows[] = {
        {ONE("subject = \"CN=gx\";"), true},
        {ONE("subject_alt_names = [\"DNS:c\"];"), true},
        {ONE(ASKED "url = \"coaps://other.example:999\";"), true},
        {ONE(ASKED "label = \"l\";"), false},
        {ONE(ASKED "key_type = \"p384\";"), false},
        {ONE(ASKED "key = { origin = \"server\"; };"), false},
        {ONE(ASKED "url = \"coaps://est.example/other\";"), false},
    };
    char first[65], rest[65];
    rest_of(c, ONE(ASKED), first);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rest_of(c, rows[i].text, rest);
        assert_int_equal(strcmp(first, rest) == 0, rows[i].same);
    }
}

static void the_digest_is_the_same_for_the_same_request(void **state) {
    struct conf_place *c = *state;
    static const char *const same[] = {
        ONE("subject_alt_names = [\"DNS:b\", \"DNS:a\"]; subject = \"CN=gw\";"),
        ONE(ASKED "url = \"coaps://other.example:999\";"),
        ONE(ASKED "url = \"coaps://est.example/.well-known/est/\";"),
        ONE(ASKED "renew_at = \"20%\"; attempt_timeout = \"1h\"; block_size = 16;"),
        ONE(ASKED "trust = \"/other\"; birth = { certificate = \"/o\"; key = \"/k\"; };"),
        ONE(ASKED "url = [\"coaps://est.example\", \"coaps://b.example/other\"];"),
        ONE(ASKED "key_type = \"p256\";"),
        ONE(ASKED "key = { origin = \"device\"; decrypt = \"/seal\"; };"),
    };
    char first[65], digest[65];
    digest_of(c, ONE(ASKED), first);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        digest_of(c, same[i], digest);
        assert_string_equal(digest, first);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(the_digest_tells_requests_apart),
        WITH_FILES(e09_the_digest_of_the_rest_knows_no_names),
        WITH_FILES(the_digest_is_the_same_for_the_same_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
