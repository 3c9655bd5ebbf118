/* SPDX-License-Identifier: BSD-2-Clause */
/* The explicit anchors on disk: read back by worker and manager, and what is said of unfit ones. */
#include "store_fixture.h"

#include <limits.h>
#include <sys/stat.h>

static void what_was_put_is_read_back(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    _cleanup(trust_facts_clear) struct trust_facts facts = {0};
    assert_int_equal(store_load_trust_facts(site->state, ID, &facts, &err), -ENOENT);
    for (int n = 1; n <= STORE_KEPT + 2; n++)
        assert_int_equal(site_commit_anchor(site, site->ca, &err), 0);
    assert_int_equal(store_load_trust_facts(site->state, ID, &facts, &err), 0);
    assert_int_equal(facts.generation, STORE_KEPT + 2);
    assert_int_equal(facts.received_at, 1700000000);
    assert_string_equal(facts.configured, "DIGEST");
    assert_false(site_has(site, "trust/generations/2"));
    assert_true(site_has(site, "trust/generations/3"));
    assert_string_equal(site->log, "");
}

static void cut(struct site *site, const char *name) {
    char path[64];
    snprintf(path, sizeof(path), "trust/generations/1/%s", name);
    site_write(site, path, "nothing\n", 0644);
}

static void without_anchors(struct site *site) {
    cut(site, "anchors.pem");
}

static void without_facts(struct site *site) {
    cut(site, "trust.json");
}

static void without_a_generation(struct site *site) {
    assert_int_equal(fs_remove_tree(site_identity(site), "trust/generations", NULL), 0);
}

static void without_a_folder(struct site *site) {
    assert_int_equal(fs_remove_tree(site_identity(site), "trust", NULL), 0);
    site_write(site, "trust", "no folder\n", 0644);
}

/* What to remove is the folder of the anchors: key and certificate lie beside it. */
static void assert_remedy(struct site *site, const struct estc_error *err) {
    char remedy[PATH_MAX];
    snprintf(remedy, sizeof(remedy),
             "restore them, or remove the folder %s/identities/" ID "/trust, and what the "
             "configuration trusts counts again",
             site->state);
    const char *found = strstr(err->text, remedy);
    if (err->code != ESTC_E_CREDENTIAL || !found || strstr(err->text, "remove") < found ||
        strstr(found + strlen(remedy), "remove"))
        fail_msg("%d: %s", err->code, err->text);
}

static void an_unfit_set_is_never_passed_over_and_the_remedy_names_its_folder(void **state) {
    static const struct {
        void (*damage)(struct site *site);
        int to_the_manager;
    } rows[] = {
        {without_anchors, 0}, /* which looks at no certificate */
        {without_facts, ESTC_E_CREDENTIAL},
        {without_a_generation, ESTC_E_CREDENTIAL},
        {without_a_folder, ESTC_E_CREDENTIAL},
    };
    struct site *site = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        struct store_trust held = {0};
        _cleanup(trust_facts_clear) struct trust_facts facts = {0};
        fs_remove_tree(site_identity(site), "trust", NULL);
        unlinkat(site_identity(site), "trust", 0);
        assert_int_equal(site_commit_anchor(site, site->ca, &err), 0);
        rows[i].damage(site);
        int rc = store_load_trust_facts(site->state, ID, &facts, &err);
        assert_int_equal(rc, rows[i].to_the_manager);
        if (rc)
            assert_remedy(site, &err);
        struct store *store = site_open(site);
        err = (struct estc_error){0};
        assert_int_equal(store_load_trust(store, &held, &err), ESTC_E_CREDENTIAL);
        assert_remedy(site, &err);
        assert_null(held.trust);
        store_close(store);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(what_was_put_is_read_back),
        SITED(an_unfit_set_is_never_passed_over_and_the_remedy_names_its_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
