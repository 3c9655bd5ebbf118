/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The half of the cage that Landlock does not cover: system calls. The filter names what is
 * forbidden, not what is allowed: the libraries below us change their calls from release to
 * release, and a gateway that cannot renew after a libc update would be worse. Files are Landlock's
 * but for their modes and attributes, which it does not look after: they can be changed through an
 * open descriptor only, and opening is Landlock's again.
 *
 * The kernel looks at the lower 32 bits of most arguments and the filter at all 64, so what is
 * refused for being equal is compared with a mask.
 */
#include "sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#define LOWER_HALF UINT64_C(0xffffffff)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Those that an architecture does not have are passed over by libseccomp. */
static const int forbidden[] = {
    /* programs, and the insides of other processes */
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(kcmp), SCMP_SYS(migrate_pages),
    SCMP_SYS(move_pages), SCMP_SYS(perf_event_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_send_signal), SCMP_SYS(process_madvise), SCMP_SYS(process_mrelease),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(userfaultfd),
    /* how fast they run */
    SCMP_SYS(ioprio_set), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr),
    SCMP_SYS(sched_setparam), SCMP_SYS(sched_setscheduler), SCMP_SYS(setpriority),
    /* modes and attributes of files by their paths */
    SCMP_SYS(chmod), SCMP_SYS(chown), SCMP_SYS(chown32), SCMP_SYS(fchmodat), SCMP_SYS(fchownat),
    SCMP_SYS(lchown), SCMP_SYS(lchown32), SCMP_SYS(lremovexattr), SCMP_SYS(lsetxattr),
    SCMP_SYS(removexattr), SCMP_SYS(setxattr), SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    /* another view of the machine */
    SCMP_SYS(chroot), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fsopen), SCMP_SYS(fspick),
    SCMP_SYS(mount), SCMP_SYS(mount_setattr), SCMP_SYS(move_mount), SCMP_SYS(open_tree),
    SCMP_SYS(pivot_root), SCMP_SYS(setns), SCMP_SYS(umount), SCMP_SYS(umount2), SCMP_SYS(unshare),
    /* another user */
    SCMP_SYS(capset), SCMP_SYS(setfsgid), SCMP_SYS(setfsuid), SCMP_SYS(setgid), SCMP_SYS(setgroups),
    SCMP_SYS(setregid), SCMP_SYS(setresgid), SCMP_SYS(setresuid), SCMP_SYS(setreuid),
    SCMP_SYS(setuid),
    /* the kernel and the machine */
    SCMP_SYS(acct), SCMP_SYS(add_key), SCMP_SYS(adjtimex), SCMP_SYS(bpf), SCMP_SYS(clock_adjtime),
    SCMP_SYS(clock_settime), SCMP_SYS(clock_settime64), SCMP_SYS(delete_module),
    SCMP_SYS(finit_module), SCMP_SYS(init_module), SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_setup), SCMP_SYS(kexec_file_load), SCMP_SYS(kexec_load), SCMP_SYS(keyctl),
    SCMP_SYS(quotactl), SCMP_SYS(reboot), SCMP_SYS(request_key), SCMP_SYS(setdomainname),
    SCMP_SYS(sethostname), SCMP_SYS(settimeofday), SCMP_SYS(swapoff), SCMP_SYS(swapon),
    SCMP_SYS(syslog),
    /* ways to others that are no sockets */
    SCMP_SYS(mq_open), SCMP_SYS(msgget), SCMP_SYS(semget), SCMP_SYS(shmget),
#if !defined(__mips__) && !defined(__alpha__)
    /* No names in Debian 12's libseccomp; their numbers are the same wherever numbers are sane. */
    452, /* fchmodat2 */
    463, /* setxattrat */
    466, /* removexattrat */
#endif
};

static int forbid(scmp_filter_ctx filter, const int *calls, size_t n) {
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
    return rc;
}

/* Signals to anybody but ourselves (abort() needs to reach us), and what acts on a process by its
 * number: our own is 0 for prlimit64(). */
static int forbid_others(scmp_filter_ctx filter) {
    uint64_t self = (uint64_t)getpid();
    const int calls[] = {SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(tgkill)};
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
                              SCMP_A0(SCMP_CMP_NE, 0));
    for (size_t i = 0; !rc && i < COUNT(calls); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 1,
                              SCMP_A0(SCMP_CMP_NE, self));
    return rc;
}

/* A descriptor can be told to signal whom one likes, and a terminal to take input from us. */
static int forbid_by_descriptor(scmp_filter_ctx filter) {
    const struct {
        int call;
        uint64_t command;
    } commands[] = {
        {SCMP_SYS(fcntl), F_SETOWN},   {SCMP_SYS(fcntl), F_SETOWN_EX},
        {SCMP_SYS(fcntl64), F_SETOWN}, {SCMP_SYS(fcntl64), F_SETOWN_EX},
        {SCMP_SYS(ioctl), FIOSETOWN},  {SCMP_SYS(ioctl), SIOCSPGRP},
        {SCMP_SYS(ioctl), TIOCSTI},    {SCMP_SYS(ioctl), TIOCLINUX},
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < COUNT(commands); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), commands[i].call, 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, LOWER_HALF, commands[i].command));
    return rc;
}

/*
 * No child processes: one could outlive its attempt. Threads are fine, name resolution has one.
 * clone3() keeps its flags where a filter cannot look; the C library does without when it is not
 * there. Of a sanitizer's build LeakSanitizer watches the process from a clone, with ptrace.
 */
static int forbid_processes(scmp_filter_ctx filter) {
#ifdef ESTC_SANITIZE
    (void)filter;
    return 0;
#else
    static const int calls[] = {SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace)};
#ifdef __s390__
    const struct scmp_arg_cmp no_thread = SCMP_A1(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
#else
    const struct scmp_arg_cmp no_thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
#endif
    int rc = forbid(filter, calls, COUNT(calls));
    if (!rc)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread);
    if (!rc)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return rc;
#endif
}

/*
 * Below, between and above the three families that are allowed: AF_INET 2, AF_INET6 10 and
 * AF_NETLINK 16, which getaddrinfo() asks for the machine's addresses. The control socket and every
 * other daemon's are out of reach with that, and with socketpair(): one end of a datagram pair can
 * send to any path.
 */
static int forbid_sockets(scmp_filter_ctx filter) {
    const struct scmp_arg_cmp others[] = {
        SCMP_A0(SCMP_CMP_LT, AF_INET),
        SCMP_A0(SCMP_CMP_GT, AF_NETLINK),
    };
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socketpair), 0);
    for (size_t i = 0; !rc && i < COUNT(others); i++)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                    &others[i]);
    for (int family = AF_INET + 1; !rc && family < AF_NETLINK; family++)
        if (family != AF_INET6)
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_EQ, (uint64_t)family));
    return rc;
}

int sandbox_restrict_calls(struct estc_error *err) {
    static int (*const parts[])(scmp_filter_ctx) = {forbid_others, forbid_by_descriptor,
                                                    forbid_processes, forbid_sockets};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return estc_error_set(err, -ENOMEM, "sandbox: out of memory");
    int rc = forbid(filter, forbidden, COUNT(forbidden));
    for (size_t i = 0; !rc && i < COUNT(parts); i++)
        rc = parts[i](filter);
    if (!rc)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc ? estc_error_set(err, rc, "sandbox: the system call filter was refused (errno %d)",
                               -rc)
              : 0;
}
