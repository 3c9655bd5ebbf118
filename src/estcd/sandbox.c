/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cage of a worker: Landlock for files, seccomp for everything else. A worker parses what
 * strangers send, so it is treated as if it were already theirs: it may use the network and its own
 * identity's folder, and read what name resolution and OpenSSL need. Landlock's three system calls
 * have no library in Debian 12 and are made directly.
 *
 * The filter names what is forbidden, not what is allowed: the libraries below us change their
 * calls from release to release, and a gateway that cannot renew after a libc update would be
 * worse.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

/* --- files --- */

#define READ_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define WRITE_ACCESS                                                                              \
    (READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SYM)
/* All that the first version of the interface can forbid; later ones add to it. */
#define FIRST_ACCESS                                                            \
    (WRITE_ACCESS | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

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
    "/run/systemd/resolve",
    "/run/resolvconf",
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

static int restrict_files(const struct sandbox_paths *paths, struct estc_error *err) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0) {
        log_warning("this kernel has no Landlock (%m): a worker sees all files of its user");
        return 0;
    }
    struct landlock_ruleset_attr attr = {.handled_access_fs = FIRST_ACCESS};
#ifdef LANDLOCK_ACCESS_FS_REFER
    /* Renaming between folders of the identity (a finished generation) is then allowed by rule. */
    uint64_t refer = version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
#else
    uint64_t refer = 0;
#endif
    attr.handled_access_fs |= refer;
    _cleanup(fs_closep) int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return estc_error_set(err, -errno, "sandbox: cannot create a Landlock rule set: %m");
    int rc = allow_paths(ruleset, paths->writable, WRITE_ACCESS | refer, err);
    if (!rc)
        rc = allow_paths(ruleset, paths->readable, READ_ACCESS, err);
    if (!rc)
        rc = allow_paths(ruleset, system_files, READ_ACCESS, err);
    if (!rc && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        rc = estc_error_set(err, -errno, "sandbox: Landlock refuses: %m");
    return rc;
}

/* --- system calls --- */

/* LeakSanitizer stops the process's threads from a clone with ptrace at its end. */
#ifndef ESTC_SANITIZE
static const int forbidden_in_production[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
};
#endif

static const int forbidden[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setgroups),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(shmget),
    SCMP_SYS(msgget),
    SCMP_SYS(semget),
};

/* Signals to anybody but ourselves; abort() needs to reach us. */
static int forbid_signals(scmp_filter_ctx filter) {
    uint64_t self = (uint64_t)getpid();
    const int calls[] = {SCMP_SYS(kill), SCMP_SYS(tgkill)};
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tkill), 0);
    for (size_t i = 0; !rc && i < sizeof(calls) / sizeof(calls[0]); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 1,
                              SCMP_A0(SCMP_CMP_NE, self));
    return rc;
}

/* Below, between and above the three families that are allowed: AF_INET 2, AF_INET6 10 and
 * AF_NETLINK 16, which getaddrinfo() asks for the machine's addresses. The control socket and every
 * other daemon's are out of reach with that. */
static int forbid_sockets(scmp_filter_ctx filter) {
    const struct scmp_arg_cmp others[][3] = {
        {SCMP_A0(SCMP_CMP_LT, AF_INET)},
        {SCMP_A0(SCMP_CMP_GT, AF_NETLINK)},
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(others) / sizeof(others[0]); i++)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                    others[i]);
    for (int family = AF_INET + 1; !rc && family < AF_NETLINK; family++)
        if (family != AF_INET6)
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_EQ, (uint64_t)family));
    return rc;
}

static int forbid(scmp_filter_ctx filter, const int *calls, size_t n) {
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
    return rc;
}

static int restrict_calls(struct estc_error *err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return estc_error_set(err, -ENOMEM, "sandbox: out of memory");
    int rc = forbid(filter, forbidden, sizeof(forbidden) / sizeof(forbidden[0]));
#ifndef ESTC_SANITIZE
    if (!rc)
        rc = forbid(filter, forbidden_in_production,
                    sizeof(forbidden_in_production) / sizeof(forbidden_in_production[0]));
#endif
    if (!rc)
        rc = forbid_signals(filter);
    if (!rc)
        rc = forbid_sockets(filter);
    if (!rc)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc ? estc_error_set(err, rc, "sandbox: the system call filter was refused (errno %d)",
                               -rc)
              : 0;
}

int sandbox_enter(const struct sandbox_paths *paths, struct estc_error *err) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return estc_error_set(err, -errno, "sandbox: cannot give up new privileges: %m");
    int rc = restrict_files(paths, err);
    return rc ? rc : restrict_calls(err);
}
