/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state folder as others leave it: foreign objects where ours should be, generations that
 * somebody has damaged, requests that a kill has cut short.
 */
#include "store_fixture.h"

/* --- in the way --- */

static int aside_of(struct site *site, const char *name) {
    for (int n = 1; n < 20; n++) {
        char path[64];
        snprintf(path, sizeof(path), "%s.foreign-%d", name, n);
        if (!site_has(site, path))
            return n - 1;
    }
    return -1;
}

static void foreign_objects_give_way(void **state) {
    struct site *site = *state;
    struct facts facts = {0};
    int fd = site_identity(site);
    site_write(site, "precious", "keep me", 0600);
    assert_int_equal(mkdirat(fd, "current", 0700), 0);
    assert_int_equal(symlinkat("../gw", fd, "generations"), 0);
    assert_int_equal(mkfifoat(fd, "lock", 0600), 0);
    site_write(site, "pending", "no folder", 0600);
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), -ENOENT);
    assert_int_equal(site_enroll(site, "CN=one"), 1);
    static const char *const names[] = {"current", "generations", "lock", "pending"};
    for (size_t i = 0; i < 4; i++) {
        char text[64];
        snprintf(text, sizeof(text), "/gw/%s is not what estcd put there", names[i]);
        assert_int_equal(aside_of(site, names[i]), 1);
        if (!strstr(site->log, text))
            fail_msg("%s", site->log);
    }
    assert_content(fd, "pending.foreign-1", "no folder");
    assert_content(fd, "precious", "keep me");
    assert_int_equal(layout_link_generation(fd, STORE_CURRENT), 1);
}

static void whatever_stands_for_current_gives_way(void **state) {
    struct site *site = *state;
    static const char *const targets[] = {
        "/etc",
        "generations",
        "generations/",
        "generations/0",
        "generations/01",
        "generations/1x",
        "generations/../../other",
        "generations/-1",
        "generations/1/../1",
        "./generations/1",
        "generations/99999999999999999999999999999999999999999999999999999999999999999999",
        "1",
    };
    struct facts facts = {0};
    int fd = site_identity(site);
    site_enroll(site, "CN=gw");
    int n = (int)(sizeof(targets) / sizeof(targets[0]));
    for (int i = 0; i < n; i++) {
        assert_int_equal(unlinkat(fd, "current", 0), 0);
        assert_int_equal(symlinkat(targets[i], fd, "current"), 0);
        assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), -ENOENT);
        struct store *store = site_open(site);
        struct store_current current = {0};
        assert_int_equal(store_load_current(store, &current, NULL), -ENOENT);
        store_close(store);
        assert_int_equal(site_enroll(site, "CN=gw"), i + 2);
        assert_int_equal(aside_of(site, "current"), i + 1);
    }
}

static void no_link_below_the_state_folder_is_followed(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    struct store *store = NULL;
    struct facts facts = {0};
    const struct store_attempts attempts = {.failures = 1};
    site_enroll(site, "CN=gw");
    assert_int_equal(renameat(site->place->fd, "state/identities", site->place->fd, "moved"), 0);
    assert_int_equal(symlinkat("../moved", site->place->fd, "state/identities"), 0);
    assert_int_not_equal(store_open(site->state, ID, &store, &err), 0);
    assert_int_not_equal(store_load_facts(site->state, ID, &facts, NULL), 0);
    assert_int_not_equal(store_save_attempts(site->state, ID, &attempts, NULL), 0);
    assert_int_equal(unlinkat(site->place->fd, "state/identities", 0), 0);
    assert_int_equal(mkdirat(site->place->fd, "state/identities", 0700), 0);
    assert_int_equal(symlinkat("../../moved/gw", site->place->fd, "state/identities/gw"), 0);
    assert_int_not_equal(store_open(site->state, ID, &store, &err), 0);
    assert_non_null(strstr(err.text, site->state));
    assert_int_not_equal(store_load_facts(site->state, ID, &facts, NULL), 0);
}

/* --- a generation that cannot be used --- */

enum harm { REMOVE, EMPTY, GARBAGE, HUGE, OPEN_MODE, GROUP_MODE, LINK, FIFO };

static void do_harm(int dirfd, const char *name, enum harm harm) {
    static char huge[300000];
    memset(huge, 'x', sizeof(huge));
    int rc = 0;
    if (harm != OPEN_MODE && harm != GROUP_MODE)
        assert_int_equal(unlinkat(dirfd, name, 0), 0);
    if (harm == EMPTY || harm == GARBAGE)
        rc = fs_write_new(dirfd, name, "hello", harm == EMPTY ? 0 : 5, 0600, NULL);
    else if (harm == HUGE)
        rc = fs_write_new(dirfd, name, huge, sizeof(huge), 0600, NULL);
    else if (harm == OPEN_MODE || harm == GROUP_MODE)
        rc = fchmodat(dirfd, name, harm == OPEN_MODE ? 0604 : 0640, 0);
    else if (harm == LINK)
        rc = symlinkat("combined.pem", dirfd, name);
    else if (harm == FIFO)
        rc = mkfifoat(dirfd, name, 0600);
    assert_int_equal(rc, 0);
}

static void a_damaged_generation_is_named(void **state) {
    struct site *site = *state;
    static const struct {
        const char *file;
        enum harm harm;
        bool manager_sees_it;
        const char *says; /* to the worker, which looks into the files */
    } rows[] = {
        {"key.pem", REMOVE, true, "private key %s/current/key.pem: no such file"},
        {"key.pem", EMPTY, true, "private key %s/current/key.pem: not a file with content"},
        {"key.pem", LINK, true, "private key %s/current/key.pem: not a file with content"},
        {"key.pem", OPEN_MODE, true, "others than its owner have access: chmod 600"},
        {"key.pem", GROUP_MODE, true, "others than its owner have access: chmod 600"},
        {"key.pem", GARBAGE, false, "%s/current/key.pem"},
        {"cert.pem", REMOVE, true, "%s/current/cert.pem"},
        {"cert.pem", EMPTY, false, "%s/current/cert.pem"},
        {"cert.pem", GARBAGE, false, "%s/current/cert.pem"},
        {"cert.pem", HUGE, false, "%s/current/cert.pem"},
        {"cert.pem", LINK, false, "%s/current/cert.pem"},
        {"chain.pem", REMOVE, false, "%s/current/chain.pem"},
        {"chain.pem", GARBAGE, false, "%s/current/chain.pem"},
        {"cacerts.pem", FIFO, false, "%s/current/cacerts.pem"},
        {"facts.json", REMOVE, true, "%s/current/facts.json"},
        {"facts.json", EMPTY, true, "%s/current/facts.json"},
        {"facts.json", GARBAGE, true, "%s/current/facts.json"},
        {"facts.json", HUGE, true, "%s/current/facts.json"},
        {"facts.json", LINK, true, "%s/current/facts.json"},
        {"facts.json", FIFO, true, "%s/current/facts.json"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        char expected[256];
        struct facts facts = {0};
        struct store_current current = {0};
        _cleanup(freep) char *folder = text_format("%s/identities/gw", site->state);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(expected, sizeof(expected), rows[i].says, folder);
#pragma GCC diagnostic pop
        site_enroll(site, "CN=gw");
        _cleanup(fs_closep) int fd = openat(site_identity(site), "current", O_PATH | O_CLOEXEC);
        do_harm(fd, rows[i].file, rows[i].harm);
        int rc = store_load_facts(site->state, ID, &facts, &err);
        assert_int_equal(rc, rows[i].manager_sees_it ? ESTC_E_CREDENTIAL : 0);
        facts_clear(&facts);
        if (rows[i].manager_sees_it && (err.code != rc || !strstr(err.text, expected)))
            fail_msg("%s: %s", rows[i].file, err.text);
        struct store *store = site_open(site);
        assert_int_equal(store_load_current(store, &current, &err), ESTC_E_CREDENTIAL);
        assert_int_equal(err.code, ESTC_E_CREDENTIAL);
        if (!strstr(err.text, expected))
            fail_msg("%s %d: \"%s\" does not say \"%s\"", rows[i].file, (int)rows[i].harm, err.text,
                     expected);
        store_close(store);
    }
}

static void files_of_two_generations_do_not_mix(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    struct store_current current = {0};
    site_enroll(site, "CN=gw");
    site_enroll(site, "CN=gw");
    int fd = site_identity(site);
    /* The same key, another certificate. */
    assert_int_equal(renameat(fd, "generations/1/cert.pem", fd, "generations/2/cert.pem"), 0);
    struct store *store = site_open(site);
    assert_int_equal(store_load_current(store, &current, &err), ESTC_E_CREDENTIAL);
    assert_non_null(strstr(err.text, "not the certificate that facts.json describes"));
    /* Another key. */
    EVP_PKEY_free(site->key);
    site->key = support_key();
    store_close(store);
    site_enroll(site, "CN=gw");
    assert_int_equal(renameat(fd, "generations/2/key.pem", fd, "generations/3/key.pem"), 0);
    store = site_open(site);
    assert_int_equal(store_load_current(store, &current, &err), ESTC_E_CREDENTIAL);
    assert_non_null(strstr(err.text, "key.pem and cert.pem do not belong together"));
    store_close(store);
}

static void a_generation_that_is_gone(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    struct facts facts = {0};
    site_enroll(site, "CN=gw");
    assert_int_equal(fs_remove_tree(site_identity(site), "generations/1", NULL), 0);
    assert_int_equal(store_load_facts(site->state, ID, &facts, &err), ESTC_E_CREDENTIAL);
    assert_non_null(strstr(err.text, "restore it, or remove"));
    assert_int_equal(symlinkat("/tmp", site->fd, "generations/1"), 0);
    assert_int_equal(store_load_facts(site->state, ID, &facts, &err), ESTC_E_CREDENTIAL);
}

/* --- what a kill has left --- */

static void halves_are_swept(void **state) {
    struct site *site = *state;
    site_enroll(site, "CN=gw");
    int fd = site_identity(site);
    assert_int_equal(fs_mkdir_all(fd, "generations/.unfinished", 0750, NULL), 0);
    site_write(site, "generations/.unfinished/key.pem", "-----BEGIN PRIV", 0600);
    assert_int_equal(fs_mkdir_all(fd, "generations/2", 0750, NULL), 0); /* finished, never used */
    assert_int_equal(mkdirat(fd, "generations/.estc-tmp-1", 0700), 0);
    assert_int_equal(symlinkat("generations/99", fd, ".estc-tmp-2"), 0);
    assert_int_equal(mkdirat(fd, "pending", 0700), 0);
    site_write(site, "pending/.estc-tmp-3", "-----BEGIN PRIV", 0600);
    store_close(site_open(site));
    assert_false(site_has(site, "generations/.unfinished"));
    assert_false(site_has(site, "generations/.estc-tmp-1"));
    assert_false(site_has(site, ".estc-tmp-2"));
    assert_false(site_has(site, "pending/.estc-tmp-3"));
    assert_int_equal(layout_link_generation(fd, STORE_CURRENT), 1);
    assert_int_equal(site_enroll(site, "CN=gw"), 3);
    assert_string_equal(site->log, "");
}

static void foreign_names_among_the_generations_stay(void **state) {
    struct site *site = *state;
    int fd = site_identity(site);
    site_enroll(site, "CN=gw");
    site_write(site, "generations/README", "mine", 0600);
    assert_int_equal(mkdirat(fd, "generations/007", 0700), 0);
    assert_int_equal(mkdirat(fd, "generations/1234567890123456", 0700), 0);
    for (int i = 2; i < 8; i++)
        assert_int_equal(site_enroll(site, "CN=gw"), i);
    assert_true(site_has(site, "generations/README"));
    assert_true(site_has(site, "generations/007"));
    assert_true(site_has(site, "generations/1234567890123456"));
    assert_false(site_has(site, "generations/1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(foreign_objects_give_way),
        SITED(whatever_stands_for_current_gives_way),
        SITED(no_link_below_the_state_folder_is_followed),
        SITED(a_damaged_generation_is_named),
        SITED(files_of_two_generations_do_not_mix),
        SITED(a_generation_that_is_gone),
        SITED(halves_are_swept),
        SITED(foreign_names_among_the_generations_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
