/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that a worker has given up, each made from inside of the cage. Where the machine
 * refuses a call to everybody nothing can be seen of it, so each one is made outside as well.
 */
#include "cage.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

static void expect(int (*probe)(const struct place *), void **state) {
    assert_int_equal(cage_run(probe, *state, true), 0);
}

/* --- sockets --------------------------------------------------------------------------------- */

static int open_sockets(const struct place *place) {
    (void)place;
    for (int family = 0; family < 64; family++)
        if (family != AF_INET && family != AF_INET6 && family != AF_NETLINK) {
            CHECK(REFUSED(socket(family, SOCK_STREAM, 0), EAFNOSUPPORT));
            CHECK(REFUSED(socket(family, SOCK_DGRAM, 0), EAFNOSUPPORT));
        }
    /* The kernel looks at an int of it only. */
    CHECK(REFUSED(syscall(SYS_socket, AF_UNIX | INT64_C(1) << 32, SOCK_STREAM, 0), EAFNOSUPPORT));
    CHECK(REFUSED(syscall(SYS_socket, AF_INET | INT64_C(1) << 32, SOCK_STREAM, 0), EAFNOSUPPORT));
    int pair[2];
    CHECK(REFUSED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), EAFNOSUPPORT));
    CHECK(REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EAFNOSUPPORT));
    return 0;
}

static void no_sockets_but_ip(void **state) {
    cage_expect(open_sockets, *state);
}

static int control_fd; /* a seqpacket socket like the worker's, from before the cage */

static int reach_a_socket(const struct place *place) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/own/control", place->path);
    const struct sockaddr *to = (const struct sockaddr *)&address;
    CHECK(connect(control_fd, to, sizeof(address)) < 0);
    CHECK(sendto(control_fd, "x", 1, MSG_NOSIGNAL, to, sizeof(address)) == 1 ||
          errno == EISCONN); /* to its peer, whatever address is said */
    return 0;
}

static void its_own_socket_leads_nowhere_else(void **state) {
    const struct place *place = *state;
    int pair[2], listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/own/control", place->path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    control_fd = pair[1];
    expect(reach_a_socket, state);
    assert_int_equal(accept4(listener, NULL, NULL, SOCK_CLOEXEC), -1);
    close(listener);
    close(pair[0]);
    close(pair[1]);
}

/* --- other processes ------------------------------------------------------------------------- */

static int signal_others(const struct place *place) {
    (void)place;
    static const pid_t others[] = {0, -1, 1};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(REFUSED(kill(others[i], 0), EPERM));
    CHECK(REFUSED(kill(getppid(), 0), EPERM));
    CHECK(REFUSED(syscall(SYS_tkill, getppid(), 0), EPERM));
    CHECK(REFUSED(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM));
    CHECK(REFUSED(syscall(SYS_kill, getpid() | INT64_C(1) << 32, 0), EPERM));
    return 0;
}

static void no_signals_to_others(void **state) {
    cage_expect(signal_others, *state);
}

/* The kernel would send SIGKILL to that process with the first datagram. */
static int signal_by_descriptor(const struct place *place) {
    (void)place;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), number = (int)getppid();
    struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getppid()};
    CHECK(fd >= 0);
    CHECK(REFUSED(fcntl(fd, F_SETOWN, getppid()), EPERM));
    CHECK(REFUSED(fcntl(fd, F_SETOWN_EX, &owner), EPERM));
    CHECK(REFUSED(syscall(SYS_fcntl, fd, F_SETOWN | INT64_C(1) << 32, getppid()), EPERM));
    CHECK(REFUSED(ioctl(fd, FIOSETOWN, &number), EPERM));
    CHECK(REFUSED(ioctl(fd, SIOCSPGRP, &number), EPERM));
    CHECK(REFUSED(ioctl(fd, TIOCSTI, "x"), EPERM));
    CHECK(fcntl(fd, F_GETFL) >= 0 && ioctl(fd, FIONBIO, &number) == 0);
    close(fd);
    return 0;
}

static void nor_by_way_of_a_descriptor(void **state) {
    cage_expect(signal_by_descriptor, *state);
}

static int limit_others(const struct place *place) {
    (void)place;
    struct rlimit limit = {1, 1};
    CHECK(REFUSED(prlimit(getppid(), RLIMIT_CPU, &limit, NULL), EPERM));
    CHECK(REFUSED(setpriority(PRIO_PROCESS, (id_t)getppid(), 19), EPERM));
    CHECK(getrlimit(RLIMIT_CPU, &limit) == 0 && setrlimit(RLIMIT_CPU, &limit) == 0);
    return 0;
}

static void nor_limits(void **state) {
    expect(limit_others, state);
}

static void *nothing(void *arg) {
    return arg;
}

static int make_processes(const struct place *place) {
    (void)place;
    pthread_t thread;
#ifndef ESTC_SANITIZE /* LeakSanitizer has to make some */
    CHECK(REFUSED(fork(), EPERM));
    CHECK(REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM));
    CHECK(REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS));
    CHECK(REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM));
    CHECK(REFUSED(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL), EPERM));
#endif
    CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}

static void threads_but_no_processes(void **state) {
    expect(make_processes, state);
}

static int run_a_program(const struct place *place) {
    (void)place;
    char *const arguments[] = {(char[]){"true"}, NULL};
    CHECK(REFUSED(execv("/bin/true", arguments), EPERM));
    CHECK(REFUSED(syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, NULL, 0), EPERM));
    return 0;
}

static void no_programs(void **state) {
    assert_int_equal(access("/bin/true", X_OK), 0);
    expect(run_a_program, state);
}

/* --- everything else ------------------------------------------------------------------------- */

#define CALL(name) \
    { #name, SYS_##name }
static const struct {
    const char *name;
    long number;
} refused[] = {
    CALL(acct),
    CALL(add_key),
    CALL(adjtimex),
    CALL(bpf),
    CALL(capset),
    CALL(chroot),
    CALL(clock_adjtime),
    CALL(clock_settime),
    CALL(delete_module),
    CALL(finit_module),
    CALL(fsmount),
    CALL(fsopen),
    CALL(fspick),
    CALL(init_module),
    CALL(io_uring_enter),
    CALL(io_uring_setup),
    CALL(ioprio_set),
    CALL(kcmp),
    CALL(kexec_load),
    CALL(keyctl),
    CALL(mount),
    CALL(mount_setattr),
    CALL(move_mount),
    CALL(mq_open),
    CALL(name_to_handle_at),
    CALL(open_by_handle_at),
    CALL(open_tree),
    CALL(perf_event_open),
    CALL(pidfd_getfd),
    CALL(pidfd_open),
    CALL(pidfd_send_signal),
    CALL(pivot_root),
    CALL(process_madvise),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(quotactl),
    CALL(reboot),
    CALL(request_key),
    CALL(rt_sigqueueinfo),
    CALL(sched_setaffinity),
    CALL(sched_setscheduler),
    CALL(semget),
    CALL(setdomainname),
    CALL(setfsgid),
    CALL(setfsuid),
    CALL(setgroups),
    CALL(sethostname),
    CALL(setns),
    CALL(setregid),
    CALL(setresgid),
    CALL(setresuid),
    CALL(setreuid),
    CALL(settimeofday),
    CALL(setuid),
    CALL(setxattr),
    CALL(shmget),
    CALL(swapoff),
    CALL(swapon),
    CALL(syslog),
    CALL(umount2),
    CALL(unshare),
    CALL(userfaultfd),
};
#define N_REFUSED (sizeof(refused) / sizeof(refused[0]))

/* With arguments that are good for nothing, so that it does nothing where it is allowed. */
static int error_of(size_t i) {
    errno = 0;
    return syscall(refused[i].number, -1L, -1L, -1L, -1L, -1L, -1L) < 0 ? errno : 0;
}

static size_t call;

static int call_it(const struct place *place) {
    (void)place;
    return error_of(call);
}

static void what_else_is_refused(void **state) {
    size_t seen = 0;
    for (call = 0; call < N_REFUSED; call++) {
        int inside = cage_run(call_it, *state, true);
        if (inside != EPERM)
            fail_msg("%s: error %d", refused[call].name, inside);
        seen += cage_run(call_it, *state, false) != EPERM;
    }
    print_message("# %zu calls are refused, %zu of them by the cage alone\n", N_REFUSED, seen);
    assert_true(seen >= (geteuid() == 0 ? N_REFUSED / 2 : 1));
}

/* A second, weaker filter on top does not help; the first one cannot be taken off. */
static int take_it_off(const struct place *place) {
    CHECK(cage_enter(place) == 0);
    CHECK(REFUSED(unshare(CLONE_NEWNS), EPERM));
    CHECK(REFUSED(openat(place->fd, "other/key.pem", O_WRONLY | O_TRUNC | O_CLOEXEC), EACCES) ||
          REFUSED(syscall(SYS_landlock_create_ruleset, NULL, 0, 1), EOPNOTSUPP) || errno == ENOSYS);
    return 0;
}

static void there_is_no_way_back(void **state) {
    expect(take_it_off, state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CAGED(no_sockets_but_ip),    CAGED(its_own_socket_leads_nowhere_else),
        CAGED(no_signals_to_others), CAGED(nor_by_way_of_a_descriptor),
        CAGED(nor_limits),           CAGED(threads_but_no_processes),
        CAGED(no_programs),          CAGED(what_else_is_refused),
        CAGED(there_is_no_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
