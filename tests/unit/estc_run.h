/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the program estc against that daemon and keeps what it says. */
#pragma once

#include "estc_daemon.h"

/* --- running estc ---------------------------------------------------------------------------- */

static char *folder, *socket_path;
static pid_t daemon_pid;

static inline bool answers(void) {
    struct ctl_client *client = NULL;
    bool there = ctl_client_connect(socket_path, &client, NULL) == 0;
    ctl_client_free(client);
    return there;
}

static inline int start_daemon(void **state) {
    (void)state;
    folder = support_tmpdir();
    socket_path = text_format("%s/control", folder);
    assert_int_equal(chmod(folder, 0755), 0);
    daemon_pid = fork();
    if (daemon_pid == 0)
        exit(serve(socket_path));
    for (int i = 0; i < 1000 && !answers(); i++)
        usleep(5000);
    return answers() ? 0 : -1;
}

/* Tells the daemon something that estc has no word for. */
static inline void tell_daemon(const char *method) {
    struct ctl_client *client = NULL;
    struct ctl_reply reply = {0};
    if (ctl_client_connect(socket_path, &client, NULL) == 0 &&
        ctl_client_send(client, method, NULL, false, NULL) == 0)
        ctl_client_receive(client, 10000, &reply, NULL);
    ctl_reply_clear(&reply);
    ctl_client_free(client);
}

static inline int stop_daemon(void **state) {
    (void)state;
    int status = -1;
    tell_daemon("org.estcd.control.Quit");
    waitpid(daemon_pid, &status, 0);
    free(socket_path);
    support_tmpdir_remove(folder);
    return status; /* a sanitizer in the daemon speaks through it */
}

struct result {
    int status;
    char *out, *err;
};

static inline void result_clear(struct result *r) {
    free(r->out);
    free(r->err);
}

static inline char *slurp(int fd) {
    struct estc_buf buf = {0};
    char chunk[4096];
    ssize_t n;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(estc_buf_append(&buf, "", 0), 0);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        assert_int_equal(estc_buf_append(&buf, chunk, (size_t)n), 0);
    close(fd);
    char *text = strdup((char *)buf.data);
    estc_buf_clear(&buf);
    return text;
}

static inline int scratch(void) {
    char path[] = "/tmp/estc-test-out-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

struct who {
    uid_t uid;
    gid_t gid;
};

/* Words are split at spaces; "@" stands for the socket's path. */
static inline struct result run_as(const char *line, int out_fd, const struct who *who) {
    char *words = strdup(line), *argv[32] = {getenv("ESTC"), NULL};
    size_t n = 1;
    assert_non_null(argv[0]);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[n++] = strcmp(word, "@") == 0 ? socket_path : word;
    int out = out_fd >= 0 ? out_fd : scratch(), err = scratch();
    pid_t pid = fork();
    if (pid == 0) {
        setenv("ESTC_SOCKET", socket_path, 1);
        if (who && (setgroups(0, NULL) || setresgid(who->gid, who->gid, who->gid) ||
                    setresuid(who->uid, who->uid, who->uid)))
            _exit(99);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execv(argv[0], argv);
        _exit(98);
    }
    struct result r = {0};
    int status;
    waitpid(pid, &status, 0);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    r.out = out_fd >= 0 ? strdup("") : slurp(out);
    r.err = slurp(err);
    free(words);
    return r;
}

static inline struct result run(const char *line) {
    return run_as(line, -1, NULL);
}

static inline void expect(const char *line, int status, const char *out, const char *err) {
    struct result r = run(line);
    if (r.status != status || (out && !strstr(r.out, out)) || (err && !strstr(r.err, err)))
        fail_msg("estc %s: %d, wanted %d\nout: %s\nwanted: %s\nerr: %s\nwanted: %s", line, r.status,
                 status, r.out, out ? out : "", r.err, err ? err : "");
    for (const char *at = r.err; *at; at++)
        assert_true(*at == '\n' || (unsigned char)*at >= ' ');
    if (out && !*out)
        assert_string_equal(r.out, "");
    if (err && !*err)
        assert_string_equal(r.err, "");
    result_clear(&r);
}

static inline json_t *json_of(const char *line, int status) {
    struct result r = run(line);
    json_t *json = json_loads(r.out, 0, NULL);
    if (r.status != status || !json)
        fail_msg("estc %s: %d\n%s\n%s", line, r.status, r.out, r.err);
    assert_ptr_equal(strchr(r.out, '\n'), r.out + strlen(r.out) - 1); /* one line */
    result_clear(&r);
    return json;
}
