/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cage of a worker: Landlock for files, seccomp (sandbox_calls.c) for everything else. A worker
 * parses what strangers send, so it is treated as if it were already theirs: it may use the network
 * and its own identity's folder, and read what name resolution and OpenSSL need. Landlock has no
 * library in Debian 12, and its headers there know the first versions of the interface only: the
 * calls and later versions' numbers (Documentation/userspace-api/landlock.rst) are spelled out
 * here.
 */
#include "sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

#define READ_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_ACCESS                                                                              \
    (READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SYM | ACCESS_TRUNCATE)
/* All that the first version of the interface can forbid. Renaming to another folder is forbidden
 * without being named, and the store has no need of it. */
#define FIRST_ACCESS                                                                              \
    ((WRITE_ACCESS & ~ACCESS_TRUNCATE) | LANDLOCK_ACCESS_FS_EXECUTE |                             \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK)
/* And what makes sense for something that is no folder. */
#define FILE_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

/* Without version 3 a file can be cut to nothing by whoever may not even open it. */
#define TRUNCATE_VERSION 3
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
/* ioctl() on devices. */
#define IOCTL_VERSION 5
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15)
/* Abstract Unix sockets, and signals to processes outside. */
#define SCOPE_VERSION 6
#define SCOPE_ALL (UINT64_C(3))

/* As the kernel knows it since version 6; older ones take the beginning of it. */
struct ruleset_attr {
    uint64_t handled_access_fs, handled_access_net, scoped;
};

/* What name resolution, time zones and the libraries read. */
static const char *const system_files[] = {
    "/usr/lib",
    "/lib",
    "/usr/lib64",
    "/lib64",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl",
    "/etc/pki/tls",
    "/etc/crypto-policies",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/usr/share/crypto-policies",
    "/usr/share/zoneinfo",
    "/dev/urandom",
    "/dev/random",
    "/dev/null",
    "/proc/self",
    "/proc/sys/net",
    NULL,
};

static int allow_path(int ruleset, const char *path, uint64_t access, struct estc_error *err) {
    _cleanup(fs_closep) int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
            return 0;
        return estc_error_set(err, -errno, "sandbox: cannot open %s: %m", path);
    }
    if (!S_ISDIR(st.st_mode))
        access &= FILE_ACCESS;
    const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return estc_error_set(err, -errno, "sandbox: cannot allow %s: %m", path);
    return 0;
}

static int allow_paths(int ruleset, const char *const *paths, uint64_t access,
                       struct estc_error *err) {
    for (; paths && *paths; paths++) {
        int rc = allow_path(ruleset, *paths, access, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* The interface's version; 0 without one, and errno says why. */
static int landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (int)version;
}

bool sandbox_has_landlock(void) {
    if (landlock_version() > 0)
        return true;
    log_notice("no Landlock here (%m): a worker can read all files of its user");
    return false;
}

static int restrict_files(const struct sandbox_paths *paths, struct estc_error *err) {
    int version = landlock_version();
    if (version == 0)
        return 0;
    const struct ruleset_attr attr = {
        .handled_access_fs = FIRST_ACCESS | (version >= TRUNCATE_VERSION ? ACCESS_TRUNCATE : 0) |
                             (version >= IOCTL_VERSION ? ACCESS_IOCTL_DEV : 0),
        .scoped = version >= SCOPE_VERSION ? SCOPE_ALL : 0,
    };
    size_t size = version >= SCOPE_VERSION ? sizeof(attr) : sizeof(attr.handled_access_fs);
    _cleanup(fs_closep) int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return estc_error_set(err, -errno, "sandbox: cannot create a Landlock rule set: %m");
    int rc = allow_paths(ruleset, paths->writable, WRITE_ACCESS & attr.handled_access_fs, err);
    if (!rc)
        rc = allow_paths(ruleset, paths->readable, READ_ACCESS, err);
    if (!rc)
        rc = allow_paths(ruleset, system_files, READ_ACCESS, err);
    if (!rc && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        rc = estc_error_set(err, -errno, "sandbox: Landlock refuses: %m");
    return rc;
}

int sandbox_enter(const struct sandbox_paths *paths, struct estc_error *err) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return estc_error_set(err, -errno, "sandbox: cannot give up new privileges: %m");
    int rc = restrict_files(paths, err);
    return rc ? rc : sandbox_restrict_calls(err);
}
