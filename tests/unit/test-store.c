/* SPDX-License-Identifier: BSD-2-Clause */
/* The state folder in good days: layout, generations, what is read back, and who may hold it. */
#include "store_fixture.h"

#include <sys/wait.h>

static void prepare_makes_the_layout(void **state) {
    struct site *site = *state;
    struct stat st;
    mode_t before = umask(0);
    assert_int_equal(store_prepare(site->state, NULL), 0);
    umask(before);
    assert_content(site->place->fd, "state/format", "1\n");
    assert_int_equal(fstatat(site->place->fd, "state", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(fstatat(site->place->fd, "state/identities", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(store_prepare(site->state, NULL), 0);
}

static void another_format_is_refused(void **state) {
    struct site *site = *state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"2\n", "it has layout 2, this estcd knows up to 1"},
        {"999999999999999\n", "it has layout 999999999999999"},
        {"", "does not say which layout"},
        {"0\n", "does not say which layout"},
        {"-1\n", "does not say which layout"},
        {"one\n", "does not say which layout"},
        {"1", "does not say which layout"},
        {"1\n\n", "does not say which layout"},
        {"1 and much more than that", "does not say which layout"},
    };
    assert_int_equal(store_prepare(site->state, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        assert_int_equal(fs_write_atomic(site->place->fd, "state/format", rows[i].text,
                                         strlen(rows[i].text), 0644, NULL),
                         0);
        assert_int_not_equal(store_prepare(site->state, &err), 0);
        if (!strstr(err.text, rows[i].says) || !strstr(err.text, site->state))
            fail_msg("%s", err.text);
        assert_content(site->place->fd, "state/format", rows[i].text);
    }
}

static void nothing_is_there_yet(void **state) {
    struct site *site = *state;
    struct facts facts = {0};
    struct store_attempts attempts = {.failures = 9};
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), -ENOENT);
    assert_int_equal(store_prepare(site->state, NULL), 0);
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), -ENOENT);
    store_load_attempts(site->state, ID, &attempts);
    assert_int_equal(attempts.failures, 0);
    struct store *store = site_open(site);
    struct store_current current = {0};
    struct store_pending pending = {0};
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), -ENOENT);
    assert_int_equal(store_load_current(store, &current, NULL), -ENOENT);
    assert_int_equal(store_load_pending(store, &pending, NULL), -ENOENT);
    assert_int_equal(store_drop_pending(store, NULL), 0);
    store_close(store);
    assert_null(store_close(NULL));
}

static void what_is_committed_is_read_back(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    _cleanup(facts_clear) struct facts made = {0}, seen = {0};
    assert_int_equal(site_commit(site, store, "CN=one", &made, NULL), 0);
    assert_int_equal(made.generation, 1);
    assert_int_equal(made.issued_at, 1800000000);
    assert_string_equal(made.subject, "CN=one");
    assert_int_equal(store_load_facts(site->state, ID, &seen, NULL), 0);
    assert_string_equal(seen.sha256, made.sha256);
    assert_string_equal(seen.request_digest, "DIGEST");
    assert_string_equal(seen.rest_digest, "REST");
    struct store_current current = {0};
    assert_int_equal(store_load_current(store, &current, NULL), 0);
    assert_true(estc_cert_has_key(current.cert, site->key));
    assert_int_equal(EVP_PKEY_eq(current.key, site->key), 1);
    assert_int_equal(sk_X509_num(current.chain), 0);
    assert_int_equal(sk_X509_num(current.cacerts), 1);
    assert_int_equal(X509_cmp(sk_X509_value(current.cacerts, 0), site->ca), 0);
    assert_string_equal(current.facts.serial, made.serial);
    store_current_clear(&current);
    store_close(store);
}

static void names_and_modes_are_as_promised(void **state) {
    struct site *site = *state;
    static const struct {
        const char *path;
        mode_t mode;
    } rows[] = {
        {"lock", 0600},
        {"generations", 0750},
        {"generations/1", 0750},
        {"generations/1/key.pem", 0600},
        {"generations/1/combined.pem", 0600},
        {"generations/1/cert.pem", 0644},
        {"generations/1/chain.pem", 0644},
        {"generations/1/fullchain.pem", 0644},
        {"generations/1/cacerts.pem", 0644},
        {"generations/1/facts.json", 0644},
    };
    char target[64] = "";
    mode_t before = umask(0);
    site_enroll(site, "CN=one");
    umask(before);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(site_mode(site, rows[i].path), rows[i].mode);
    assert_true(readlinkat(site->fd, "current", target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "generations/1");
    umask(0777);
    site_enroll(site, "CN=two");
    umask(before);
    assert_int_equal(site_mode(site, "generations/2/key.pem"), 0600);
    assert_int_equal(site_mode(site, "generations/2/cert.pem"), 0644);
    _cleanup(freep) char *path = store_path(site->state, ID, "cacerts.pem");
    _cleanup(freep) char *folder = store_path(site->state, ID, "");
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(strlen(path) - strlen(folder), strlen("/cacerts.pem"));
}

static void append(struct estc_buf *to, int dirfd, const char *path) {
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    assert_int_equal(fs_read(dirfd, path, 1 << 20, &text, NULL, NULL), 0);
    assert_int_equal(estc_buf_append(to, text.data, text.len), 0);
}

static void the_chain_goes_where_servers_want_it(void **state) {
    struct site *site = *state;
    _cleanup(pkey_freep) EVP_PKEY *issuing_key = support_key();
    _cleanup(x509_freep) X509 *issuing = support_cert(
        issuing_key,
        &(struct support_cert_spec){
            .subject = "CN=Issuing", .ca = 1, .issuer = site->ca, .issuer_key = site->ca_key});
    _cleanup(x509_freep) X509 *cert = support_cert(
        site->key, &(struct support_cert_spec){
                       .subject = "CN=one", .issuer = issuing, .issuer_key = issuing_key});
    STACK_OF(X509) *chain = sk_X509_new_null();
    sk_X509_push(chain, issuing);
    const struct store_issued issued = {.key = site->key,
                                        .cert = cert,
                                        .chain = chain,
                                        .cacerts = site->cas,
                                        .request_digest = "D",
                                        .rest_digest = "R"};
    struct store *store = site_open(site);
    assert_int_equal(store_stage(store, &issued, NULL), 0);
    assert_int_equal(store_promote(store, NULL), 0);
    _cleanup(estc_buf_clear) struct estc_buf full = {0}, combined = {0};
    append(&full, site_identity(site), "current/cert.pem");
    append(&full, site->fd, "current/chain.pem");
    append(&combined, site->fd, "current/key.pem");
    append(&combined, site->fd, "current/fullchain.pem");
    assert_content(site->fd, "current/fullchain.pem", (char *)full.data);
    assert_content(site->fd, "current/combined.pem", (char *)combined.data);
    struct store_current current = {0};
    assert_int_equal(store_load_current(store, &current, NULL), 0);
    assert_int_equal(sk_X509_num(current.chain), 1);
    assert_int_equal(X509_cmp(sk_X509_value(current.chain, 0), issuing), 0);
    store_current_clear(&current);
    store_close(store);
    sk_X509_free(chain);
}

static void the_last_three_generations_stay(void **state) {
    struct site *site = *state;
    for (int i = 1; i <= 12; i++)
        assert_int_equal(site_enroll(site, "CN=again"), i);
    int all = fs_open_dir(site_identity(site), "generations", NULL);
    assert_int_equal(entries(all), 3);
    close(all);
    assert_true(site_has(site, "generations/10/key.pem"));
    assert_true(site_has(site, "generations/12/key.pem"));
    assert_int_equal(layout_link_generation(site->fd, STORE_CURRENT), 12);
}

static void a_candidate_is_not_in_force(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    struct store_current candidate = {0};
    struct facts facts = {0};
    assert_int_equal(store_load_candidate(store, &candidate, NULL), -ENOENT);
    assert_int_equal(site_stage(site, store, "CN=one", NULL), 0);
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), -ENOENT);
    assert_int_equal(store_load_candidate(store, &candidate, NULL), 0);
    assert_string_equal(candidate.facts.subject, "CN=one");
    assert_int_equal(EVP_PKEY_eq(candidate.key, site->key), 1);
    store_current_clear(&candidate);
    assert_int_equal(store_promote(store, NULL), 0);
    assert_false(site_has(site, "candidate"));
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), 0);
    assert_string_equal(facts.subject, "CN=one");
    facts_clear(&facts);
    struct estc_error err = {0};
    assert_int_equal(store_promote(store, &err), -ENOENT); /* there is none any more */
    assert_non_null(strstr(err.text, "candidate"));
    store_close(store);
}

/* As many as there may have been in between. */
static void what_is_pointed_at_is_never_pruned(void **state) {
    struct site *site = *state;
    site_enroll(site, "CN=first");
    struct store *store = site_open(site);
    for (int i = 2; i <= 8; i++)
        assert_int_equal(site_stage(site, store, "CN=never used", NULL), 0);
    struct facts facts = {0};
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), 0);
    assert_string_equal(facts.subject, "CN=first");
    facts_clear(&facts);
    assert_int_equal(store_promote(store, NULL), 0);
    store_close(store);
    assert_int_equal(layout_link_generation(site_identity(site), STORE_CURRENT), 8);
    int all = fs_open_dir(site->fd, "generations", NULL);
    assert_int_equal(entries(all), 3);
    close(all);
}

/* Certificates of the fixture live from 2020 to 2040 or so: a time long after that has none. */
static void the_way_back(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    struct facts facts = {0};
    struct store *store = site_open(site);
    assert_int_equal(store_roll_back(store, 1800000000, &facts, &err), ESTC_E_NOT_FOUND);
    store_close(store);
    site_enroll(site, "CN=one");
    site_enroll(site, "CN=two");
    site_enroll(site, "CN=three");
    store = site_open(site);
    assert_int_equal(store_roll_back(store, INT64_C(9000000000), &facts, &err), ESTC_E_NOT_FOUND);
    assert_int_equal(layout_link_generation(site_identity(site), STORE_CURRENT), 3);
    assert_int_equal(store_roll_back(store, 1700000000, &facts, &err), 0);
    assert_string_equal(facts.subject, "CN=two");
    facts_clear(&facts);
    assert_int_equal(layout_link_generation(site->fd, STORE_CURRENT), 2);
    assert_int_equal(unlinkat(site->fd, "generations/1/facts.json", 0), 0);
    assert_int_equal(store_roll_back(store, 1700000000, &facts, &err), ESTC_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "no earlier certificate"));
    assert_int_equal(layout_link_generation(site->fd, STORE_CURRENT), 2);
    store_close(store);
    assert_int_equal(site_enroll(site, "CN=four"), 4);
}

static void one_worker_at_a_time(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    struct store *first = site_open(site), *second = NULL;
    assert_int_equal(store_open(site->state, ID, &second, &err), -EBUSY);
    assert_non_null(strstr(err.text, "in use by another worker"));
    assert_null(second);
    struct store *other = NULL; /* other identities are other locks */
    assert_int_equal(store_open(site->state, "other", &other, NULL), 0);
    store_close(other);
    store_close(first);
    store_close(site_open(site));
}

/* However it ends, its lock ends with it. */
static void a_dead_worker_holds_nothing(void **state) {
    struct site *site = *state;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = NULL;
        if (store_open(site->state, ID, &store, NULL))
            _exit(1);
        raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    store_close(site_open(site));
}

/* Whoever resolves `current` once finds a pair, at any moment of forty switches. */
static void readers_never_see_a_mixture(void **state) {
    struct site *site = *state;
    site_enroll(site, "CN=gw");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 40; i++) {
            EVP_PKEY_free(site->key);
            site->key = support_key();
            site_enroll(site, "CN=gw");
        }
        exit(0);
    }
    unsigned pairs = 0;
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        _cleanup(fs_closep) int fd = openat(site_identity(site), "current", O_PATH | O_CLOEXEC);
        assert_true(fd >= 0);
        _cleanup(estc_buf_clear) struct estc_buf key_pem = {0}, cert_pem = {0};
        if (fs_read(fd, "key.pem", 1 << 16, &key_pem, NULL, NULL) ||
            fs_read(fd, "cert.pem", 1 << 16, &cert_pem, NULL, NULL))
            continue; /* three generations later it is gone */
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
        assert_int_equal(estc_key_from_pem(key_pem.data, key_pem.len, &key, NULL), 0);
        assert_int_equal(estc_certs_from_pem(cert_pem.data, cert_pem.len, &certs, NULL), 0);
        assert_true(estc_cert_has_key(sk_X509_value(certs, 0), key));
        pairs++;
    }
    assert_int_equal(status, 0);
    assert_true(pairs > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(prepare_makes_the_layout),
        SITED(another_format_is_refused),
        SITED(nothing_is_there_yet),
        SITED(what_is_committed_is_read_back),
        SITED(names_and_modes_are_as_promised),
        SITED(the_chain_goes_where_servers_want_it),
        SITED(the_last_three_generations_stay),
        SITED(a_candidate_is_not_in_force),
        SITED(what_is_pointed_at_is_never_pruned),
        SITED(the_way_back),
        SITED(one_worker_at_a_time),
        SITED(a_dead_worker_holds_nothing),
        SITED(readers_never_see_a_mixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
