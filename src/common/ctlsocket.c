/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of a control socket: made closed to everybody, opened to its group only when that is
 * certain, removed when it is still the one we made. The folder must exist; systemd's
 * RuntimeDirectory= or whoever started us made it, and only we and root write there.
 */
#include "common/ctlsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

#define LISTEN_BACKLOG 32

static int socket_error(int error, const char *path, struct estc_error *err) {
    static const struct {
        int error;
        const char *remedy;
    } known[] = {
        {ENOENT, "its folder does not exist: create it, or name another control_socket"},
        {EACCES, "permission denied: its folder must be writable for the daemon's user"},
        {EROFS, "the file system is read-only: name another control_socket"},
        {EADDRINUSE, "a daemon already answers there: stop it, or name another control_socket"},
        {EEXIST, "a file that is no socket is in the way: remove it"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].error == error)
            return estc_error_set(err, -error, "control socket %s: %s", path, known[i].remedy);
    return estc_error_set(err, -error, "control socket %s: %s", path, strerror(error));
}

/* Removes a socket that a dead daemon has left behind. */
static int clear_stale(const struct sockaddr_un *address, struct estc_error *err) {
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : socket_error(errno, address->sun_path, err);
    if (!S_ISSOCK(st.st_mode))
        return socket_error(EEXIST, address->sun_path, err);
    _cleanup(fs_closep) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return socket_error(errno, address->sun_path, err);
    /* Anything but a refusal means that somebody holds the other end: a full queue is EAGAIN. */
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno != ECONNREFUSED)
        return socket_error(errno == EACCES ? EACCES : EADDRINUSE, address->sun_path, err);
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return socket_error(errno, address->sun_path, err);
    log_info("control socket %s: removed what an earlier daemon left", address->sun_path);
    return 0;
}

/* Opens the socket to its group. Without it, root and our own user can still connect. */
static int grant_group(const char *path, const char *read_group, struct estc_error *err) {
    gid_t gid = 0;
    if (ctlpeer_find_group(read_group, &gid) < 0) {
        log_notice("control socket %s: there is no group '%s': only root and the daemon's own user "
                   "can connect",
                   path, read_group);
        return 0;
    }
    struct stat st;
    bool has_it = lstat(path, &st) == 0 && st.st_gid == gid; /* from a folder with the setgid bit */
    if (!has_it && lchown(path, (uid_t)-1, gid) < 0) {
        log_notice("control socket %s: cannot give it to group '%s' (%s): only root and the "
                   "daemon's own user can connect",
                   path, read_group, strerror(errno));
        return 0;
    }
    return chmod(path, 0660) < 0 ? socket_error(errno, path, err) : 0;
}

int ctlsocket_open(const char *path, const char *read_group, struct ctlsocket *out,
                   struct estc_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return estc_error_set(err, -ENAMETOOLONG,
                              "control socket %s: the path has more than %zu bytes: name a shorter "
                              "one",
                              path, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    int rc = clear_stale(&address, err);
    if (rc)
        return rc;
    _cleanup(freep) char *copy = strdup(path);
    _cleanup(fs_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !copy)
        return socket_error(fd < 0 ? errno : ENOMEM, path, err);
    /* bind() makes the file with the mode of the socket (less the umask): closed from the start. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return socket_error(errno, path, err);
    struct stat st;
    if (lstat(path, &st) < 0)
        return socket_error(errno, path, err);
    struct ctlsocket made = {.fd = fd, .path = copy, .dev = st.st_dev, .ino = st.st_ino};
    rc = grant_group(path, read_group, err);
    if (!rc && listen(fd, LISTEN_BACKLOG) < 0)
        rc = socket_error(errno, path, err);
    if (rc) {
        unlink(path);
        return rc;
    }
    *out = made;
    fd = -1;
    copy = NULL;
    return 0;
}

int ctlsocket_adopt(int fd, struct ctlsocket *out, struct estc_error *err) {
    struct sockaddr_un address;
    socklen_t len = sizeof(address);
    int type = 0, listening = 0;
    socklen_t size = sizeof(type);
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
        return estc_error_set(err, -errno, "the passed descriptor %d: %s", fd, strerror(errno));
    if (address.sun_family != AF_UNIX || type != SOCK_STREAM || !listening)
        return estc_error_set(err, -EINVAL,
                              "the passed descriptor %d is no listening Unix stream socket: "
                              "write ListenStream=PATH in the .socket unit",
                              fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return estc_error_set(err, -errno, "the passed descriptor %d: %s", fd, strerror(errno));
    *out = (struct ctlsocket){.fd = fd};
    return 0;
}

void ctlsocket_close(struct ctlsocket *socket) {
    fs_closep(&socket->fd);
    struct stat st;
    if (socket->path && lstat(socket->path, &st) == 0 && st.st_dev == socket->dev &&
        st.st_ino == socket->ino)
        unlink(socket->path);
    free(socket->path);
    *socket = (struct ctlsocket){.fd = -1};
}
