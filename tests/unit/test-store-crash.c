/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call that changes the disk during an attempt is hit once: it fails, or the process
 * ends right before it or right after it. The linker puts the calls below in front of the C
 * library's (see meson.build). Whatever happens, an old certificate stays in force until a new one
 * is, and the next attempt goes through and leaves no litter.
 */
#include "store_fixture.h"

#include <sys/wait.h>

/* What happens to the call with this number, counted from 1. */
static struct {
    int at, seen;
    enum { NOTHING, FAIL, DIE_BEFORE, DIE_AFTER } how;
    int error;
} plan;

static bool hit(void) {
    if (plan.how == NOTHING || ++plan.seen != plan.at)
        return false;
    if (plan.how == DIE_BEFORE)
        _exit(9);
    return true;
}

/* Calls the real thing, unless it is its turn to fail. */
#define WRAPPED(call)                      \
    ({                                     \
        bool hit_ = hit();                 \
        __typeof__(call) rc_ = -1;         \
        if (hit_ && plan.how == FAIL)      \
            errno = plan.error;            \
        else                               \
            rc_ = (call);                  \
        if (hit_ && plan.how == DIE_AFTER) \
            _exit(9);                      \
        rc_;                               \
    })

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode) {
    return WRAPPED(__real_fchmod(fd, mode));
}
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
    return WRAPPED(__real_fsync(fd));
}
int __real_mkdirat(int fd, const char *path, mode_t mode);
int __wrap_mkdirat(int fd, const char *path, mode_t mode);
int __wrap_mkdirat(int fd, const char *path, mode_t mode) {
    return WRAPPED(__real_mkdirat(fd, path, mode));
}
int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to) {
    return WRAPPED(__real_renameat(a, from, b, to));
}
int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return WRAPPED(__real_renameat2(a, from, b, to, flags));
}
int __real_symlinkat(const char *target, int fd, const char *path);
int __wrap_symlinkat(const char *target, int fd, const char *path);
int __wrap_symlinkat(const char *target, int fd, const char *path) {
    return WRAPPED(__real_symlinkat(target, fd, path));
}
int __real_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags) {
    return WRAPPED(__real_unlinkat(fd, path, flags));
}
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len) {
    return WRAPPED(__real_write(fd, data, len));
}

/* --- an attempt, as a worker makes it --- */

static int save(struct site *site, struct store *store, bool with_request, struct estc_error *err) {
    _cleanup(store_pending_clear) struct store_pending pending = {
        .op = ESTC_OP_SEN, .request_digest = strdup("DIGEST")};
    EVP_PKEY_up_ref(site->key);
    pending.key = site->key;
    const struct estc_csr_spec spec = {.subject = "CN=gw"};
    if (with_request && estc_csr_build(site->key, &spec, &pending.csr, NULL))
        return -EINVAL;
    return store_save_pending(store, &pending, err);
}

static int attempt(struct site *site, struct estc_error *err) {
    struct store *store = NULL;
    struct facts facts = {0};
    int rc = store_open(site->state, ID, &store, err);
    if (!rc)
        rc = save(site, store, false, err);
    if (!rc)
        rc = save(site, store, true, err);
    if (!rc)
        rc = site_commit(site, store, "CN=new", &facts, err);
    facts_clear(&facts);
    store_close(store);
    return rc;
}

/* 0: done, 1: failed with a text, 2: failed without one. */
static int try_attempt(struct site *site) {
    struct estc_error err = {0};
    EVP_PKEY_free(site->key);
    site->key = support_key();
    int rc = attempt(site, &err);
    plan.how = NOTHING;
    return !rc ? 0 : rc == err.code && err.text[0] ? 1 : 2;
}

/* The same; 9 when it died on the way. */
static int run_attempt(struct site *site) {
    if (plan.how == NOTHING || plan.how == FAIL)
        return try_attempt(site);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_attempt(site));
    int status = 0;
    plan.how = NOTHING;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What is in force, and that it can be used, to the manager and to a worker. */
static void check_in_force(struct site *site, const char *subjects, int done) {
    _cleanup(facts_clear) struct facts facts = {0};
    struct estc_error err = {0};
    int rc = store_load_facts(site->state, ID, &facts, &err);
    if (!*subjects && rc == -ENOENT && done != 0)
        return; /* there was none before, and there is none yet */
    if (rc)
        fail_msg("call %d: %s", plan.at, err.text);
    if (strcmp(facts.subject, subjects) != 0 && strcmp(facts.subject, "CN=new") != 0)
        fail_msg("call %d: %s in force", plan.at, facts.subject);
    if (done == 0)
        assert_string_equal(facts.subject, "CN=new");
    struct store *store = site_open(site);
    struct store_current current = {0};
    if (store_load_current(store, &current, &err))
        fail_msg("call %d: %s", plan.at, err.text);
    assert_int_equal(current.facts.generation, facts.generation);
    store_current_clear(&current);
    store_close(store);
}

static int count(struct site *site, const char *folder) {
    _cleanup(fs_closep) int fd = fs_open_dir(site_identity(site), folder, NULL);
    assert_true(fd >= 0);
    return entries(fd);
}

/* After an undisturbed attempt: lock, generations, current, and nothing else. */
static void check_tidy(struct site *site) {
    plan.how = NOTHING;
    assert_int_equal(run_attempt(site), 0);
    check_in_force(site, "CN=new", 0);
    assert_in_range(count(site, "generations"), 1, STORE_KEPT);
    assert_int_equal(count(site, "."), 3);
}

static void start_anew(struct site *site, bool renewal) {
    plan.how = NOTHING;
    fs_closep(&site->fd);
    assert_int_equal(fs_remove_tree(site->place->fd, "state", NULL), 0);
    if (renewal)
        site_enroll(site, "CN=old");
}

static int run_planned(struct site *site, int at, int how, int error) {
    plan.at = at;
    plan.how = (__typeof__(plan.how))how;
    plan.error = error;
    plan.seen = 0;
    return run_attempt(site);
}

/* Hits each call of an attempt in turn, until there are no more; how many there are. */
static int hit_each_call(struct site *site, int how, bool renewal) {
    for (int n = 1; n < 500; n++) {
        start_anew(site, renewal);
        int done = run_planned(site, n, how, 0);
        check_in_force(site, renewal ? "CN=old" : "", done);
        check_tidy(site);
        if (done == 0)
            return n - 1;
        assert_int_equal(done, 9);
    }
    return 500;
}

static void a_kill_before_each_call(void **state) {
    assert_in_range(hit_each_call(*state, DIE_BEFORE, true), 40, 150);
}

static void a_kill_after_each_call(void **state) {
    assert_in_range(hit_each_call(*state, DIE_AFTER, true), 40, 150);
}

static void a_kill_during_the_first_enrolment(void **state) {
    assert_in_range(hit_each_call(*state, DIE_BEFORE, false), 40, 150);
}

/* --- the trust anchors, which have generations of their own --- */

/* The set in force is one of the two, whole, to a worker and to the manager. */
static void check_anchors(struct site *site, X509 *old, X509 *fresh) {
    struct store *store = site_open(site);
    struct store_trust held = {0};
    _cleanup(trust_facts_clear) struct trust_facts facts = {0};
    struct estc_error err = {0};
    if (store_load_trust(store, &held, &err) ||
        store_load_trust_facts(site->state, ID, &facts, &err))
        fail_msg("call %d: %s", plan.at, err.text);
    X509 *anchor = sk_X509_value(estc_trust_anchors(held.trust), 0);
    assert_true(X509_cmp(anchor, old) == 0 || X509_cmp(anchor, fresh) == 0);
    assert_int_equal(facts.generation, held.facts.generation);
    assert_string_equal(facts.anchors[0].sha256, held.facts.anchors[0].sha256);
    store_trust_clear(&held);
    store_close(store);
}

static int die_in_commit(struct site *site, X509 *anchor, int at, int how) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        plan.at = at;
        plan.how = (__typeof__(plan.how))how;
        plan.seen = 0;
        _exit(site_commit_anchor(site, anchor, NULL) ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void c09_a_kill_between_the_steps_of_a_new_set_of_anchors(void **state) {
    struct site *site = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *fresh =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=Next CA", .ca = 1});
    const int ways[] = {DIE_BEFORE, DIE_AFTER};
    for (int way = 0; way < 2; way++) {
        int done = 9, n = 0;
        while (done == 9 && n < 200) {
            start_anew(site, false);
            assert_int_equal(site_commit_anchor(site, site->ca, NULL), 0);
            done = die_in_commit(site, fresh, ++n, ways[way]);
            check_anchors(site, site->ca, fresh);
            /* The next one goes through. */
            assert_int_equal(site_commit_anchor(site, fresh, NULL), 0);
            check_anchors(site, fresh, fresh);
            assert_in_range(count(site, "trust/generations"), 1, STORE_KEPT);
            assert_int_equal(count(site, "trust"), 2); /* no litter */
        }
        assert_int_equal(done, 0);
        assert_in_range(n, 15, 100);
    }
}

/* Some failures do not matter (what is left over cannot be removed); all others have a text. */
static void each_call_fails(void **state) {
    struct site *site = *state;
    int failed = 0;
    for (int n = 1; n <= 100; n++) {
        start_anew(site, true);
        int done = run_planned(site, n, FAIL, n % 2 ? ENOSPC : EIO);
        if (done > 1)
            fail_msg("call %d fails without a text", n);
        failed += done;
        check_in_force(site, "CN=old", done);
        check_tidy(site);
    }
    assert_in_range(failed, 40, 100);
}

/* A disk that stays full: attempt after attempt, and nothing piles up. */
static void failures_leave_no_litter(void **state) {
    struct site *site = *state;
    int failed = 0;
    start_anew(site, true);
    for (int n = 100; n > 0; n--) {
        failed += run_planned(site, n, FAIL, ENOSPC) == 1;
        /* The last ones, and what `current` and `candidate` point at. */
        assert_in_range(count(site, "generations"), 1, STORE_KEPT + 2);
        assert_in_range(count(site, "."), 3,
                        5); /* lock, generations, current; candidate, pending */
    }
    assert_true(failed > 30);
    check_tidy(site);
}

int main(void) {
    /* A process ends here, not the power: syncing to a real disk would only take time. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {
        SITED(a_kill_before_each_call),
        SITED(a_kill_after_each_call),
        SITED(a_kill_during_the_first_enrolment),
        SITED(each_call_fails),
        SITED(failures_leave_no_litter),
        SITED(c09_a_kill_between_the_steps_of_a_new_set_of_anchors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
