/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process of a worker, looked at from outside while it waits for a server that says nothing:
 * what it has kept of the manager, and when it ends.
 */
#include "manager_fixture.h"

#include <sys/prctl.h>
#include <sys/resource.h>

/* Its line of /proc/PID/status, without the name. */
static char *status_of(pid_t pid, const char *name) {
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    char *found = NULL;
    while (file && !found && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            line[strcspn(line, "\n")] = 0;
            found = strdup(line + strlen(name) + 2);
        }
    if (file)
        fclose(file);
    return found;
}

static void assert_status(pid_t pid, const char *name, const char *expected) {
    _cleanup(freep) char *seen = status_of(pid, name);
    if (!seen || strcmp(seen, expected) != 0)
        fail_msg("%s is '%s'", name, seen ? seen : "missing");
}

/* Its descriptor's target; "" when there is none. */
static const char *target_of(pid_t pid, int fd, char *out, size_t size) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
    ssize_t len = readlink(path, out, size - 1);
    out[len < 0 ? 0 : len] = 0;
    return out;
}

/* A worker that has its session under way. */
static pid_t start_waiting(struct scene *s) {
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    while (strcmp(scene_wait(s, MANAGER_STEP, "gw")->step, "credentials") != 0)
        ;
    return scene_member(s, "gw")->pid;
}

static void only_root(void) {
    if (geteuid() == 0)
        return;
    print_message("skipped: needs root\n"); /* it does not let its own user look */
    skip();
}

static void it_keeps_nothing_of_the_manager(void **state) {
    struct scene *s = *state;
    only_root();
    char target[PATH_MAX];
    int left = open("/dev/zero", O_RDONLY); /* as a library opens one, without O_CLOEXEC */
    assert_true(left >= 0 && dup2(left, 100) == 100);
    pid_t pid = start_waiting(s);
    close(left);
    close(100);
    assert_string_equal(target_of(pid, 0, target, sizeof(target)), "/dev/null");
    assert_string_equal(target_of(pid, 1, target, sizeof(target)), "/dev/null");
    assert_non_null(strstr(target_of(pid, 3, target, sizeof(target)), "socket:"));
    for (int fd = 4; fd < 256; fd++) {
        target_of(pid, fd, target, sizeof(target));
        if (strstr(target, "/dev/zero") || strstr(target, "state/lock") ||
            strstr(target, "inotify") || strstr(target, "pidfd"))
            fail_msg("descriptor %d: %s", fd, target);
    }
}

static void its_rights_and_signals(void **state) {
    struct scene *s = *state;
    struct rlimit core;
    sigset_t all, before;
    sigfillset(&all);
    signal(SIGUSR1, SIG_IGN);
    sigprocmask(SIG_BLOCK, &all, &before); /* as in an event loop, but more so */
    pid_t pid = start_waiting(s);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_status(pid, "NoNewPrivs", "1");
    assert_status(pid, "Seccomp", "2");
    assert_status(pid, "SigBlk", "0000000000000000");
    assert_status(pid, "SigIgn", "0000000000001000"); /* SIGPIPE */
#ifndef ESTC_SANITIZE
    assert_status(pid, "SigCgt", "0000000000000000");
#endif
    if (geteuid() == 0) { /* it does not let its own user look */
        assert_int_equal(prlimit(pid, RLIMIT_CORE, NULL, &core), 0);
        assert_int_equal(core.rlim_cur, 0);
        assert_int_equal(core.rlim_max, 0);
    }
    signal(SIGUSR1, SIG_DFL);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_non_null(strstr(scene_wait(s, MANAGER_FAILED, "gw")->text, "signal 15"));
}

/* --- beginnings and ends --------------------------------------------------------------------- */

/* The messages of a worker to its end: "open credentials ... result". */
static void assert_messages(int fd, const char *expected) {
    char seen[512] = "", data[WORKER_MESSAGE_MAX];
    fcntl(fd, F_SETFL, 0);
    for (ssize_t n; (n = recv(fd, data, sizeof(data), 0)) > 0;) {
        struct worker_message message = {0};
        struct estc_error err = {0};
        if (worker_message_parse(data, (size_t)n, &message, &err))
            fail_msg("%.*s", (int)n, data);
        strcat(seen, message.is_result ? "result" : attempt_step_names[message.step]);
        strcat(seen, message.is_result ? "" : " ");
        worker_message_clear(&message);
    }
    assert_string_equal(seen, expected);
}

/* Starts a worker without a manager, with these of its standard descriptors closed; gives its
 * messages. */
static int start_without(struct scene *s, const int *closed, size_t n) {
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    struct config *config = NULL;
    struct estc_error err = {0};
    int kept[4], fd = -1;
    pid_t pid;
    scene_configure(s, "", IDS("gw"));
    assert_int_equal(config_load(s->conf, &config, &errors), 0);
    const struct attempt_task task = {config, config_find(config, "gw"), SCHEDULE_RENEW};
    for (size_t i = 0; i < n; i++) {
        kept[i] = fcntl(closed[i], F_DUPFD_CLOEXEC, 200);
        close(closed[i]);
    }
    int rc = worker_start(&task, &pid, &fd, &err);
    int own = rc ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 200);
    close(fd);
    for (size_t i = 0; i < n; i++) {
        if (kept[i] >= 0)
            dup2(kept[i], closed[i]);
        close(kept[i]);
    }
    config_free(config);
    if (rc)
        fail_msg("%s", err.text);
    return own;
}

static void any_descriptors_will_do(void **state) {
    static const struct {
        int closed[3];
        size_t n;
    } rows[] = {{{0}, 0}, {{3}, 1}, {{0}, 1}, {{0, 1}, 2}, {{1}, 1}, {{0, 1, 3}, 3}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = start_without(*state, rows[i].closed, rows[i].n);
        int status = -1;
        assert_messages(fd, "open result"); /* no certificate to renew */
        close(fd);
        assert_true(waitpid(-1, &status, 0) > 0);
        assert_int_equal(status, 0);
    }
}

static void what_fails_inside_comes_out(void **state) {
    struct scene *s = *state;
    assert_int_equal(fchmodat(s->place->fd, "birth/key.pem", 0644, 0), 0);
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    assert_non_null(strstr(scene_wait(s, MANAGER_CONFIG, "gw")->text, "chmod 600"));
    assert_int_equal(member_identity(scene_member(s, "gw"))->attempts.last_result,
                     ESTC_E_CREDENTIAL);
}

/* Whoever starts another manager would start a second worker. */
static void it_does_not_outlive_its_manager(void **state) {
    struct scene *s = *state;
    int pair[2];
    pid_t worker = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    fflush(NULL);
    pid_t manager = fork();
    if (manager == 0) {
        if (sd_event_new(&s->event) < 0) /* a loop does not survive a fork */
            _exit(1);
        worker = start_waiting(s);
        (void)!write(pair[1], &worker, sizeof(worker));
        pause();
        _exit(1);
    }
    close(pair[1]);
    assert_int_equal(read(pair[0], &worker, sizeof(worker)), sizeof(worker));
    assert_int_equal(kill(worker, 0), 0);
    assert_int_equal(kill(manager, SIGKILL), 0);
    assert_int_equal(waitpid(manager, NULL, 0), manager);
    int status = 0;
    assert_int_equal(waitpid(worker, &status, 0), worker);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    close(pair[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGED(it_keeps_nothing_of_the_manager), STAGED(its_rights_and_signals),
        STAGED(any_descriptors_will_do),         STAGED(what_fails_inside_comes_out),
        STAGED(it_does_not_outlive_its_manager),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
