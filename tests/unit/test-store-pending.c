/* SPDX-License-Identifier: BSD-2-Clause */
/* An attempt under way: kept to the byte, or dropped when it cannot be continued. */
#include "store_fixture.h"

#include "ctl/json.h"

static void make_pending(struct site *site, bool with_request, struct store_pending *out) {
    *out = (struct store_pending){.op = ESTC_OP_SEN, .request_digest = strdup("DIGEST")};
    EVP_PKEY_up_ref(site->key);
    out->key = site->key;
    const struct estc_csr_spec spec = {.subject = "CN=gw"};
    if (with_request)
        assert_int_equal(estc_csr_build(site->key, &spec, &out->csr, NULL), 0);
}

static void assert_same(const struct store_pending *a, const struct store_pending *b) {
    assert_int_equal(EVP_PKEY_eq(a->key, b->key), 1);
    assert_int_equal(a->op, b->op);
    assert_string_equal(a->request_digest, b->request_digest);
    assert_int_equal(a->csr.len, b->csr.len);
    if (a->csr.len)
        assert_memory_equal(a->csr.data, b->csr.data, a->csr.len);
    assert_int_equal(a->retry_at, b->retry_at);
    assert_int_equal(a->since, b->since);
    assert_string_equal(a->url ? a->url : "-", b->url ? b->url : "-");
}

static void it_is_kept_to_the_byte(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    static const enum estc_op ops[] = {ESTC_OP_SEN, ESTC_OP_SREN};
    for (int i = 0; i < 4; i++) {
        _cleanup(store_pending_clear) struct store_pending made = {0}, seen = {0};
        make_pending(site, i > 0, &made);
        made.op = ops[i % 2];
        made.retry_at = i * INT64_C(100000000000);
        made.retry_at = made.retry_at > 253402300799 ? 253402300799 : made.retry_at;
        made.since = made.retry_at / 2;
        made.url = i > 1 ? strdup("coaps://est.example") : NULL;
        assert_int_equal(store_save_pending(store, &made, NULL), 0);
        assert_int_equal(store_load_pending(store, &seen, NULL), 0);
        assert_same(&made, &seen);
    }
    assert_int_equal(site_mode(site, "pending"), 0700);
    assert_int_equal(site_mode(site, "pending/key.pem"), 0600);
    assert_int_equal(site_mode(site, "pending/request.json"), 0600);
    assert_string_equal(site->log, "");
    store_close(store);
}

/* Every remainder of a division by three, so every padding of base64. */
static void requests_of_all_lengths(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    for (int i = 0; i < 6; i++) {
        _cleanup(store_pending_clear) struct store_pending made = {0}, seen = {0};
        char subject[32];
        make_pending(site, false, &made);
        snprintf(subject, sizeof(subject), "CN=gw%.*s", i, "xxxxxx");
        const struct estc_csr_spec spec = {.subject = subject};
        assert_int_equal(estc_csr_build(site->key, &spec, &made.csr, NULL), 0);
        assert_int_equal(store_save_pending(store, &made, NULL), 0);
        assert_int_equal(store_load_pending(store, &seen, NULL), 0);
        assert_same(&made, &seen);
    }
    store_close(store);
}

static void it_ends_with_the_commit_or_when_dropped(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    _cleanup(store_pending_clear) struct store_pending made = {0}, seen = {0};
    make_pending(site, true, &made);
    assert_int_equal(store_save_pending(store, &made, NULL), 0);
    assert_int_equal(store_drop_pending(store, NULL), 0);
    assert_false(site_has(site, "pending"));
    assert_int_equal(store_load_pending(store, &seen, NULL), -ENOENT);
    assert_int_equal(store_drop_pending(store, NULL), 0);
    assert_int_equal(store_save_pending(store, &made, NULL), 0);
    struct facts facts = {0};
    assert_int_equal(site_commit(site, store, "CN=gw", &facts, NULL), 0);
    facts_clear(&facts);
    assert_false(site_has(site, "pending"));
    store_close(store);
}

/* What a kill leaves between two steps is removed without a word. */
static void parts_are_dropped(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    static const char *const removed[] = {"pending/request.json", "pending/key.pem", NULL};
    for (int i = 0; i < 3; i++) {
        _cleanup(store_pending_clear) struct store_pending made = {0}, seen = {0};
        make_pending(site, true, &made);
        assert_int_equal(store_save_pending(store, &made, NULL), 0);
        for (int j = 0; j < 2; j++)
            if (i == j || i == 2) /* one, the other, both */
                assert_int_equal(unlinkat(site_identity(site), removed[j], 0), 0);
        assert_int_equal(store_load_pending(store, &seen, NULL), -ENOENT);
        assert_null(seen.key);
        assert_false(site_has(site, "pending"));
        assert_false(site_has(site, "pending.foreign-1"));
    }
    assert_string_equal(site->log, "");
    store_close(store);
}

/* Loads after the files were changed; it must be set aside, and a new attempt must go. */
static void expect_aside(struct site *site, struct store *store, int n, const char *says) {
    _cleanup(store_pending_clear) struct store_pending seen = {0}, made = {0};
    char aside[32];
    struct estc_error err = {0};
    site->log[0] = '\0';
    assert_int_equal(store_load_pending(store, &seen, &err), -ENOENT);
    assert_null(seen.key);
    assert_null(seen.request_digest);
    snprintf(aside, sizeof(aside), "pending.foreign-%d", n);
    if (!site_has(site, aside) || site_has(site, "pending"))
        fail_msg("not set aside: %s", says);
    if (!strstr(site->log, says))
        fail_msg("\"%s\" does not say \"%s\"", site->log, says);
    make_pending(site, true, &made);
    assert_int_equal(store_save_pending(store, &made, NULL), 0);
    assert_int_equal(store_load_pending(store, &seen, NULL), 0);
}

static void what_is_none_of_ours_is_set_aside(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    int fd = site_identity(site);
    int n = 0;
    _cleanup(store_pending_clear) struct store_pending made = {0}, other = {0};
    make_pending(site, true, &made);
    assert_int_equal(store_save_pending(store, &made, NULL), 0);
    site_write(site, "pending/key.pem", "hello", 0600);
    expect_aside(site, store, ++n, "private key");
    assert_int_equal(fchmodat(fd, "pending/key.pem", 0644, 0), 0);
    expect_aside(site, store, ++n, "pending/key.pem: others than its owner have access");
    site_write(site, "pending/request.json", "{\"op\": \"sen\", \"csr\": [", 0600);
    expect_aside(site, store, ++n, "request.json: not a JSON object");
    assert_int_equal(unlinkat(fd, "pending/request.json", 0), 0);
    assert_int_equal(mkfifoat(fd, "pending/request.json", 0600), 0);
    expect_aside(site, store, ++n, "not a regular file");
    assert_int_equal(fs_remove_tree(fd, "pending", NULL), 0);
    site_write(site, "pending", "a file", 0600);
    expect_aside(site, store, ++n, "pending is not what estcd put there");
    /* A request that another key has signed. */
    EVP_PKEY_free(site->key);
    site->key = support_key();
    make_pending(site, true, &other);
    EVP_PKEY_free(other.key);
    EVP_PKEY_up_ref(made.key);
    other.key = made.key;
    assert_int_equal(store_save_pending(store, &other, NULL), 0);
    expect_aside(site, store, ++n, "the request is of another key");
    store_close(store);
}

static void a_link_is_not_followed(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    int fd = site_identity(site);
    _cleanup(store_pending_clear) struct store_pending made = {0};
    make_pending(site, true, &made);
    assert_int_equal(fs_mkdir_all(site->place->fd, "elsewhere", 0700, NULL), 0);
    assert_int_equal(
        fs_write_new(site->place->fd, "elsewhere/request.json", "precious", 8, 0600, NULL), 0);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(symlinkat("../../../elsewhere", fd, "pending"), 0);
        if (i == 1)
            assert_int_equal(store_drop_pending(store, NULL), 0);
        else if (i == 2)
            assert_int_equal(store_load_pending(store, &(struct store_pending){0}, NULL), -ENOENT);
        else
            assert_int_equal(store_save_pending(store, &made, NULL), 0);
        char aside[32];
        snprintf(aside, sizeof(aside), "pending.foreign-%d", i);
        assert_true(site_has(site, aside));
    }
    assert_content(site->place->fd, "elsewhere/request.json", "precious");
    store_close(store);
}

static void hostile_requests_are_refused(void **state) {
    struct site *site = *state;
    static const char *const members[] = {
        "\"op\": \"crts\"",
        "\"op\": \"simpleenroll\"",
        "\"op\": 1",
        "\"op\": null",
        "\"request_digest\": null",
        "\"csr\": null",
        "\"csr\": \"AAA\"",
        "\"csr\": \"====\"",
        "\"csr\": \"A===\"",
        "\"csr\": \"!!!!\"",
        "\"csr\": \"MAA=\"",
        "\"retry_at\": -1",
        "\"retry_at\": 253402300800",
        "\"retry_at\": \"soon\"",
        "\"since\": -1",
        "\"since\": 253402300800",
        "\"since\": null",
        "\"url\": 1",
    };
    struct store *store = site_open(site);
    int n = 0;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        _cleanup(store_pending_clear) struct store_pending made = {0};
        make_pending(site, true, &made);
        assert_int_equal(store_save_pending(store, &made, NULL), 0);
        _cleanup(json_freep) json_t *json = NULL, *change = NULL;
        _cleanup(freep) char *text = text_format("{%s}", members[i]);
        assert_int_equal(store_read_json(site_identity(site), "pending/request.json", &json, NULL),
                         0);
        change = json_loads(text, 0, NULL);
        assert_non_null(change);
        json_object_update(json, change);
        assert_int_equal(store_write_json(site->fd, "pending/request.json", json, true, 0600, NULL),
                         0);
        site->log[0] = '\0';
        struct store_pending seen = {0};
        if (store_load_pending(store, &seen, NULL) != -ENOENT)
            fail_msg("taken: %s", members[i]);
        assert_int_equal(++n, (int)i + 1);
        assert_non_null(strstr(site->log, "pending.foreign-"));
    }
    store_close(store);
}

/* Each byte of the file changed, each truncation: the very same request, another retry, or none. */
static void mutations_never_break_it(void **state) {
    struct site *site = *state;
    struct store *store = site_open(site);
    _cleanup(store_pending_clear) struct store_pending made = {0};
    make_pending(site, true, &made);
    assert_int_equal(store_save_pending(store, &made, NULL), 0);
    _cleanup(estc_buf_clear) struct estc_buf good = {0};
    assert_int_equal(
        fs_read(site_identity(site), "pending/request.json", 1 << 16, &good, NULL, NULL), 0);
    unsigned taken = 0;
    for (size_t at = 0; at < good.len; at += 3) {
        _cleanup(store_pending_clear) struct store_pending seen = {0};
        char *text = strdup((char *)good.data);
        if (at % 2)
            text[at] = (char)(text[at] ^ (1 << at % 7));
        else
            text[at] = '\0';
        assert_int_equal(store_save_pending(store, &made, NULL), 0);
        site_write(site, "pending/request.json", text, 0600);
        free(text);
        site->log[0] = '\0';
        int rc = store_load_pending(store, &seen, NULL);
        assert_true(rc == 0 || rc == -ENOENT);
        if (rc == 0) {
            taken++;
            assert_int_equal(seen.csr.len, made.csr.len);
            assert_memory_equal(seen.csr.data, made.csr.data, made.csr.len);
        }
    }
    assert_in_range(taken, 1, good.len / 3);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(it_is_kept_to_the_byte),
        SITED(requests_of_all_lengths),
        SITED(it_ends_with_the_commit_or_when_dropped),
        SITED(parts_are_dropped),
        SITED(what_is_none_of_ours_is_set_aside),
        SITED(a_link_is_not_followed),
        SITED(hostile_requests_are_refused),
        SITED(mutations_never_break_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
