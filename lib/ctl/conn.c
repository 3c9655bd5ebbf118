/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection: bytes in, whole messages on to dispatch.c, answers out. Never blocks and never
 * trusts: a message is bounded, reading stops while a call is unanswered or answers are not
 * fetched, and a follower too far behind is cut off.
 *
 * It ends when the peer is gone, when it sent what is no call, or when a follower does not read.
 * The last is found out while something else runs; the socket is then shut down, which wakes its
 * owner by POLLHUP, whatever it was waiting for.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/internal.h"

/* Calls served in one go before other connections get their turn. */
#define CALLS_IN_A_ROW 16
#define READ_SIZE 4096

int ctl_conn_new(int fd, const struct ctl_conn_options *options, struct ctl_conn **out) {
    struct ctl_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return -ENOMEM;
    conn->fd = fd;
    conn->options = *options;
    *out = conn;
    return 0;
}

struct ctl_conn *ctl_conn_free(struct ctl_conn *conn) {
    if (!conn)
        return NULL;
    if (conn->current)
        call_die(conn->current);
    close(conn->fd);
    conn_drop_fds(conn);
    estc_buf_clear(&conn->in);
    estc_buf_clear(&conn->out);
    free(conn);
    return NULL;
}

int ctl_conn_fd(const struct ctl_conn *conn) {
    return conn->fd;
}

void ctl_conn_set_wakeup(struct ctl_conn *conn, void (*wakeup)(struct ctl_conn *, void *),
                         void *arg) {
    conn->wakeup = wakeup;
    conn->wakeup_arg = arg;
}

static size_t unsent(const struct ctl_conn *conn) {
    return conn->out.len - conn->out_at;
}

/* Length of the first whole message, without its NUL; -1 while there is none. */
static ssize_t first_message(const struct ctl_conn *conn) {
    const unsigned char *end = conn->in.len ? memchr(conn->in.data, 0, conn->in.len) : NULL;
    return end ? end - conn->in.data : -1;
}

/* A call could be served now. */
static bool has_work(const struct ctl_conn *conn) {
    return conn->state == CONN_OPEN && !conn->current &&
           (first_message(conn) >= 0 || conn->in.len >= CTL_MESSAGE_MAX);
}

int ctl_conn_events(const struct ctl_conn *conn) {
    int events = 0;
    if (conn->state == CONN_OPEN && !conn->eof && conn->in.len < CTL_MESSAGE_MAX)
        events |= POLLIN;
    /* What waits in our own buffer makes no descriptor readable; writable it is soon. */
    if (unsent(conn) > 0 || has_work(conn))
        events |= POLLOUT;
    return events;
}

static void conn_fail(struct ctl_conn *conn) {
    conn->state = CONN_FAILED;
    shutdown(conn->fd, SHUT_RDWR);
}

static void conn_wake(struct ctl_conn *conn) {
    if (conn->wakeup && !conn->processing)
        conn->wakeup(conn, conn->wakeup_arg);
}

void conn_close_after_write(struct ctl_conn *conn) {
    if (conn->state == CONN_OPEN)
        conn->state = CONN_CLOSING;
}

void conn_queue_text(struct ctl_conn *conn, const void *text, size_t len) {
    if (conn->state == CONN_FAILED)
        return;
    /* One answer alone may be as large as it is; a pile of them not. */
    bool behind = unsent(conn) > 0 && unsent(conn) + len > CTL_BACKLOG_MAX;
    if (!text || behind || estc_buf_append(&conn->out, text, len) < 0)
        conn_fail(conn);
    conn_wake(conn);
}

void conn_queue(struct ctl_conn *conn, json_t *message) {
    _cleanup(freep) char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    conn_queue_text(conn, text, text ? strlen(text) + 1 : 0);
}

void conn_drop_fds(struct ctl_conn *conn) {
    for (size_t i = 0; i < conn->n_fds; i++)
        if (conn->fds[i] >= 0)
            close(conn->fds[i]);
    conn->n_fds = 0;
}

/* Descriptors are taken in up to so many; a peer that sends more is cut off. */
static int conn_keep_fds(struct ctl_conn *conn, struct msghdr *msg) {
    bool fits = !(msg->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
            if (conn->n_fds < CTL_FDS_MAX)
                conn->fds[conn->n_fds++] = fd;
            else
                close(fd);
            fits = fits && conn->n_fds <= CTL_FDS_MAX;
        }
    }
    return fits ? 0 : -EPROTO;
}

/* Like read(), and keeps the descriptors that come along. */
static ssize_t conn_receive(struct ctl_conn *conn, void *data, size_t len) {
    union {
        struct cmsghdr align;
        unsigned char space[CMSG_SPACE(sizeof(int) * CTL_FDS_MAX)];
    } control;
    struct iovec bytes = {data, len};
    struct msghdr msg = {.msg_iov = &bytes,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control.space)};
    ssize_t n = recvmsg(conn->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 || !conn_keep_fds(conn, &msg))
        return n;
    errno = EPROTO;
    return -1;
}

/* Takes in what fits. 0, or negative when the socket is broken. */
static int conn_read(struct ctl_conn *conn) {
    while (conn->state == CONN_OPEN && !conn->eof && conn->in.len < CTL_MESSAGE_MAX) {
        char chunk[READ_SIZE];
        size_t room = CTL_MESSAGE_MAX - conn->in.len;
        ssize_t n = conn_receive(conn, chunk, room < sizeof(chunk) ? room : sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            conn->eof = true;
        if (estc_buf_append(&conn->in, chunk, (size_t)n) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Sends what the socket takes. 0, or negative when the socket is broken. */
static int conn_write(struct ctl_conn *conn) {
    while (unsent(conn) > 0) {
        ssize_t n = send(conn->fd, conn->out.data + conn->out_at, unsent(conn),
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n < 0)
            break;
        conn->out_at += (size_t)n;
    }
    if (unsent(conn) == 0) {
        estc_buf_clear(&conn->out);
        conn->out_at = 0;
    } else if (conn->out_at > conn->out.len / 2) {
        memmove(conn->out.data, conn->out.data + conn->out_at, unsent(conn));
        conn->out.len -= conn->out_at;
        conn->out_at = 0;
    }
    return 0;
}

/* Serves the first message in the buffer, or refuses what will never become one. */
static void serve_one(struct ctl_conn *conn) {
    ssize_t len = first_message(conn);
    if (len < 0) {
        dispatch_refuse(conn);
        return;
    }
    dispatch_message(conn, (const char *)conn->in.data, (size_t)len);
    conn_drop_fds(conn);
    size_t used = (size_t)len + 1;
    conn->in.len -= used;
    memmove(conn->in.data, conn->in.data + used, conn->in.len);
    if (conn->in.len == 0)
        estc_buf_clear(&conn->in);
}

/* True when nothing can come in or go out any more. */
static bool conn_over(const struct ctl_conn *conn, int revents) {
    switch (conn->state) {
    case CONN_OPEN:
        break;
    case CONN_CLOSING:
        return unsent(conn) == 0;
    case CONN_FAILED:
        return true;
    }
    if (conn->current) /* the caller may have closed its sending half and still listen */
        return revents & POLLHUP;
    return conn->eof && unsent(conn) == 0 && !has_work(conn);
}

static int conn_work(struct ctl_conn *conn, int revents) {
    if (revents & (POLLIN | POLLHUP)) {
        int rc = conn_read(conn);
        if (rc)
            return rc;
    }
    int rc = conn_write(conn);
    /* Not the next call before the answers to the last are gone: a peer that only sends gets stuck,
     * not our memory used. */
    for (unsigned n = 0; !rc && n < CALLS_IN_A_ROW && unsent(conn) == 0 && has_work(conn); n++) {
        serve_one(conn);
        rc = conn_write(conn);
    }
    return rc ? rc : conn_over(conn, revents) ? -ECONNRESET : 0;
}

int ctl_conn_process(struct ctl_conn *conn, int revents) {
    if (revents & (POLLERR | POLLNVAL))
        return -ECONNRESET;
    conn->processing = true;
    int rc = conn_work(conn, revents);
    conn->processing = false;
    return rc;
}
