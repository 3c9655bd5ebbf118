/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nothing out of the state folder is parsed as root, nor even opened: a child becomes the daemon's
 * user first, who cannot read root's files by any trick with links, and hands over what is to be
 * written. What it says is bounded and checked; what it may be made to say are bytes that the
 * daemon could have put into a certificate anyway. The passphrases of PKCS#12 files are the one
 * thing that it is told.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/pem.h"

#define MESSAGE_MAX (8 * 1024 * 1024)
#define PATIENCE_MS 30000
#define STEP 65536
#define ERROR_TEXT_MAX 512

/* The first byte of what the child says. */
enum { SAYS_MATERIAL = 'M', SAYS_ERROR = 'E' };

/* --- the child --- */

static int become(const struct state *state, struct estc_error *err) {
    if (geteuid() != 0 || state->uid == 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(state->gid, state->gid, state->gid) < 0 ||
        setresuid(state->uid, state->uid, state->uid) < 0)
        return estc_error_set(err, -errno, "cannot become user %u: %m", (unsigned)state->uid);
    return 0;
}

static void say(int fd, const struct estc_buf *message) {
    for (size_t at = 0; at < message->len;) {
        ssize_t n = write(fd, message->data + at, message->len - at);
        if (n < 0 && errno != EINTR)
            return; /* nobody listens any more */
        at += n > 0 ? (size_t)n : 0;
    }
}

/* Nobody is to go on alone; a change of user takes back what was asked for before it. */
static int end_with(pid_t parent, struct estc_error *err) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return estc_error_set(err, -errno, "cannot be tied to estcd-deploy: %m");
    return getppid() == parent ? 0 : estc_error_set(err, -ESRCH, "estcd-deploy is gone");
}

static int make_message(const struct state *state, const struct config_identity *identity,
                        char *const *passwords, pid_t parent, struct estc_buf *out,
                        struct estc_error *err) {
    _cleanup(material_clear) struct material material = {0};
    const char kind = SAYS_MATERIAL;
    int rc = become(state, err);
    if (!rc)
        rc = end_with(parent, err);
    if (!rc)
        rc = material_make(state, identity, passwords, &material, err);
    if (!rc && estc_buf_append(out, &kind, 1))
        rc = estc_error_set(err, -ENOMEM, "out of memory");
    return rc ? rc : material_write(&material, out, err);
}

static void child(const struct state *state, const struct config_identity *identity,
                  char *const *passwords, pid_t parent, int fd) {
    _cleanup(estc_buf_clear) struct estc_buf message = {0};
    struct estc_error err = {0};
    if (make_message(state, identity, passwords, parent, &message, &err)) {
        const char kind = SAYS_ERROR;
        estc_buf_clear(&message);
        if (estc_buf_append(&message, &kind, 1) ||
            estc_buf_append(&message, err.text, strlen(err.text)))
            return;
    }
    say(fd, &message);
}

/* --- the parent --- */

/* All that comes until the end, in time and bounded; 0 or an error. */
static int listen_to(int fd, struct estc_buf *out, struct estc_error *err) {
    int64_t deadline = clock_boot_ms() + PATIENCE_MS;
    unsigned char step[STEP];
    ssize_t n = 1;
    int rc = 0;
    while (!rc && n != 0) {
        int64_t left = deadline - clock_boot_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0) {
            rc = estc_error_set(err, ESTC_E_TIMEOUT, "reading the state folder hung and was ended");
            continue;
        }
        n = read(fd, step, sizeof(step));
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            rc = estc_error_set(err, -errno, "cannot read from a child: %m");
        else if (n > 0 && out->len + (size_t)n > MESSAGE_MAX)
            rc = estc_error_set(err, ESTC_E_TOO_LARGE, "the state folder holds too much");
        else if (n > 0 && estc_buf_append(out, step, (size_t)n))
            rc = estc_error_set(err, -ENOMEM, "out of memory");
    }
    explicit_bzero(step, sizeof(step));
    return rc;
}

static int understand(const struct estc_buf *message, size_t n_files, struct material *out,
                      struct estc_error *err) {
    if (message->len > 0 && message->data[0] == SAYS_MATERIAL)
        return material_read(message->data + 1, message->len - 1, n_files, out, err);
    if (message->len == 0 || message->data[0] != SAYS_ERROR)
        return estc_error_set(err, -EIO, "the process that reads the state folder died");
    _cleanup(freep) char *text = text_clean(message->data + 1, message->len - 1, ERROR_TEXT_MAX);
    return estc_error_set(err, ESTC_E_CREDENTIAL, "%s", text ? text : "out of memory");
}

static char *first_line(const struct estc_buf *text) {
    const unsigned char *end = memchr(text->data, '\n', text->len);
    return strndup((const char *)text->data, end ? (size_t)(end - text->data) : text->len);
}

int reader_password(const char *path, char **out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    int rc = pem_read_private(path, &text, err);
    if (rc)
        return rc;
    if (text.len == 0 || text.data[0] == '\n' || memchr(text.data, '\0', text.len))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "%s holds no passphrase: write it into the first line", path);
    *out = first_line(&text);
    return *out ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

/* The passphrases, read as root: the daemon may not. */
static int read_passwords(const struct config_identity *identity, char **out,
                          struct estc_error *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < identity->deploy.install.n; i++) {
        const char *path = config_install_at(&identity->deploy, i)->password;
        rc = path ? reader_password(path, &out[i], err) : 0;
    }
    return rc;
}

void reader_wipe(char *password) {
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
}

static int fork_child(const struct state *state, const struct config_identity *identity,
                      char *const *passwords, struct estc_buf *message, struct estc_error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return estc_error_set(err, -errno, "cannot make a pipe: %m");
    _cleanup(fs_closep) int from = ends[0];
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        child(state, identity, passwords, parent, ends[1]);
        exit(0); /* so that leak checks and coverage see it */
    }
    int error = errno;
    close(ends[1]);
    if (pid < 0)
        return estc_error_set(err, -error, "cannot fork: %s", strerror(error));
    int rc = listen_to(from, message, err);
    kill(pid, SIGKILL); /* whatever it still does is of no interest */
    waitpid(pid, NULL, 0);
    return rc;
}

int reader_run(const struct state *state, const struct config_identity *identity,
               struct material *out, struct estc_error *err) {
    size_t n = identity->deploy.install.n;
    char **passwords = calloc(n + 1, sizeof(*passwords));
    _cleanup(estc_buf_clear) struct estc_buf message = {0};
    if (!passwords)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = read_passwords(identity, passwords, err);
    if (!rc)
        rc = fork_child(state, identity, passwords, &message, err);
    for (size_t i = 0; i < n; i++) {
        reader_wipe(passwords[i]);
    }
    free(passwords);
    return rc ? rc : understand(&message, n, out, err);
}
