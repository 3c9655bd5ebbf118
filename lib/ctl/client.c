/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The asking half, blocking: one connection, one call after the other. The daemon on the other side
 * is ours, but what it sends is bounded all the same. Never prints, never retries.
 */
#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <estc/buf.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "ctl/ctl.h"
#include "ctl/json.h"

#define REPLY_MAX (16 * 1024 * 1024) /* bytes of one reply: a list of thousands of identities */
#define SEND_SECONDS 10              /* connecting and sending to a daemon that does not read */
#define READ_SIZE 65536

struct ctl_client {
    int fd;
    char *path;
    int fds[CTL_FDS_MAX]; /* that go with the next call; not ours */
    size_t n_fds;
    struct estc_buf in; /* what came after the last reply that was handed out */
};

struct ctl_client *ctl_client_free(struct ctl_client *client) {
    if (!client)
        return NULL;
    fs_closep(&client->fd);
    estc_buf_clear(&client->in);
    free(client->path);
    free(client);
    return NULL;
}

int ctl_client_fd(const struct ctl_client *client) {
    return client->fd;
}

static int connect_error(int error, const char *path, struct estc_error *err) {
    static const struct {
        int error;
        const char *text;
    } known[] = {
        {ENOENT,
         "no daemon listens there: start it (systemctl start estcd), or name another socket"},
        {ECONNREFUSED, "no daemon listens there: start it (systemctl start estcd)"},
        {EACCES, "permission denied: join the group that the socket belongs to"},
        {EAGAIN, "the daemon does not answer: look at its log (journalctl -u estcd)"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].error == error)
            return estc_error_set(err, -error, "cannot connect to %s: %s", path, known[i].text);
    return estc_error_set(err, -error, "cannot connect to %s: %s", path, strerror(error));
}

int ctl_client_connect(const char *path, struct ctl_client **out, struct estc_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return estc_error_set(err, -ENAMETOOLONG,
                              "cannot connect to %s: a socket's path has at most %zu bytes: "
                              "use a shorter one",
                              path, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    _cleanup(ctl_client_freep) struct ctl_client *client = calloc(1, sizeof(*client));
    if (!client)
        return estc_error_set(err, -ENOMEM, "out of memory");
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client->path = strdup(path);
    if (client->fd < 0 || !client->path)
        return estc_error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    struct timeval limit = {.tv_sec = SEND_SECONDS};
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return connect_error(errno, path, err);
    *out = TAKE(client);
    return 0;
}

void ctl_client_pass(struct ctl_client *client, const int *fds, size_t n) {
    client->n_fds = n < CTL_FDS_MAX ? n : CTL_FDS_MAX;
    for (size_t i = 0; i < client->n_fds; i++)
        client->fds[i] = fds[i];
}

/* With the descriptors at its first byte. */
static ssize_t send_part(struct ctl_client *client, const char *data, size_t len) {
    union {
        struct cmsghdr align;
        unsigned char space[CMSG_SPACE(sizeof(int) * CTL_FDS_MAX)];
    } control = {0};
    size_t size = sizeof(int) * client->n_fds;
    struct iovec bytes = {(char *)(uintptr_t)data, len};
    struct msghdr msg = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (size > 0) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), client->fds, size);
    }
    ssize_t n = sendmsg(client->fd, &msg, MSG_NOSIGNAL);
    if (n > 0)
        client->n_fds = 0;
    return n;
}

int ctl_client_send(struct ctl_client *client, const char *method, json_t *params, bool more,
                    struct estc_error *err) {
    _cleanup(json_freep) json_t *message = json_pack("{s:s}", "method", method);
    if (!message || (params && json_object_set(message, "parameters", params) < 0) ||
        (more && json_object_set_new(message, "more", json_true()) < 0))
        return estc_error_set(err, -ENOMEM, "out of memory");
    _cleanup(freep) char *text = json_dumps(message, JSON_COMPACT);
    if (!text)
        return estc_error_set(err, -ENOMEM, "out of memory");
    size_t len = strlen(text) + 1;
    if (len > CTL_MESSAGE_MAX)
        return estc_error_set(err, -EMSGSIZE, "%s: the call has more than %d bytes", method,
                              CTL_MESSAGE_MAX);
    for (size_t at = 0; at < len;) {
        ssize_t n = send_part(client, text + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return estc_error_set(err, errno == EAGAIN ? -ETIMEDOUT : -ECONNRESET,
                                  "the daemon at %s does not take the call: %s", client->path,
                                  strerror(errno));
        at += (size_t)n;
    }
    return 0;
}

/* Milliseconds left for poll(); -1: for ever. */
static int time_left(int64_t deadline) {
    if (deadline < 0)
        return -1;
    int64_t left = deadline - clock_boot_ms();
    return left > 0 ? (int)left : 0;
}

/* Waits for bytes and appends them. */
static int receive_some(struct ctl_client *client, int64_t deadline, struct estc_error *err) {
    struct pollfd poller = {.fd = client->fd, .events = POLLIN};
    int ready = poll(&poller, 1, time_left(deadline));
    if (ready < 0 && errno == EINTR)
        return 0;
    if (ready == 0)
        return estc_error_set(err, -ETIMEDOUT, "the daemon at %s has not answered in time",
                              client->path);
    char chunk[READ_SIZE];
    ssize_t n = ready < 0 ? -1 : read(client->fd, chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return estc_error_set(
            err, -ECONNRESET, "the daemon at %s closed the connection: %s", client->path,
            n < 0 ? strerror(errno) : "it was stopped, or serves too many connections");
    if (client->in.len + (size_t)n > REPLY_MAX)
        return estc_error_set(err, ESTC_E_TOO_LARGE, "the answer has more than %d bytes",
                              REPLY_MAX);
    if (estc_buf_append(&client->in, chunk, (size_t)n) < 0)
        return estc_error_set(err, -ENOMEM, "out of memory");
    return 0;
}

/* One reply's members; anything unexpected is ESTC_E_MALFORMED. */
static int read_reply(const char *data, size_t len, struct ctl_reply *out, struct estc_error *err) {
    _cleanup(json_freep) json_t *json = ctl_json_object(data, len);
    json_t *params = json_object_get(json, "parameters");
    json_t *error = json_object_get(json, "error");
    json_t *continues = json_object_get(json, "continues");
    bool fits = json && (!params || json_is_object(params)) && (!error || json_is_string(error)) &&
                (!continues || json_is_boolean(continues)) && !(error && json_is_true(continues));
    if (!fits)
        return estc_error_set(err, ESTC_E_MALFORMED,
                              "the answer is no Varlink reply: is that socket estcd's?");
    _cleanup(freep) char *name = error ? strdup(json_string_value(error)) : NULL;
    _cleanup(json_freep) json_t *kept = params ? json_incref(params) : json_object();
    if (!kept || (error && !name))
        return estc_error_set(err, -ENOMEM, "out of memory");
    *out = (struct ctl_reply){
        .params = TAKE(kept), .error = TAKE(name), .continues = json_is_true(continues)};
    return 0;
}

int ctl_client_receive(struct ctl_client *client, int timeout_ms, struct ctl_reply *out,
                       struct estc_error *err) {
    int64_t deadline = timeout_ms < 0 ? -1 : clock_boot_ms() + timeout_ms;
    size_t scanned = 0;
    for (;;) {
        unsigned char *data = client->in.data;
        unsigned char *end =
            client->in.len > scanned ? memchr(data + scanned, 0, client->in.len - scanned) : NULL;
        if (end) {
            size_t len = (size_t)(end - data);
            int rc = read_reply((const char *)data, len, out, err);
            client->in.len -= len + 1;
            memmove(data, end + 1, client->in.len);
            return rc;
        }
        scanned = client->in.len;
        int rc = receive_some(client, deadline, err);
        if (rc)
            return rc;
    }
}

void ctl_reply_clear(struct ctl_reply *reply) {
    json_decref(reply->params);
    free(reply->error);
    *reply = (struct ctl_reply){0};
}
