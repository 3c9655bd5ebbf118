/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a program and all its children under ptrace, counts every system call by which they touch a
 * folder, and lets one of them be the last, or fail. System calls are seen whoever makes them, the
 * C library included, and what is killed is killed between two of them, as by a power cut to a
 * process. Linux on x86-64.
 *
 *   tracer FOLDER LOG count - -        PROGRAM [ARGUMENT]...
 *   tracer FOLDER LOG kill  N -        PROGRAM [ARGUMENT]...   all end instead of call N
 *   tracer FOLDER LOG fail  N ERRNO    PROGRAM [ARGUMENT]...   call N fails, and all goes on
 *
 * LOG gets one line a call: its number, the name, the path, and where a rename leads or a link
 * points. Messages that leave a process stand there as number 0. Ends with 99 when it has killed,
 * with the program's own status otherwise. SIGTERM is passed on to the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED 99
#define TRACEES 64
#define NONE (-1)
#define WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

/* Where a call names its folder or file, and its path; and its flags, when they decide. */
static const struct call {
    long number;
    const char *name;
    int fd, path, flags;
    int other; /* another path, which begins where the first does */
} calls[] = {
    {SYS_openat, "openat", 0, 1, 2},
    {SYS_open, "open", NONE, 0, 1},
    {SYS_creat, "creat", NONE, 0, NONE},
    {SYS_mkdirat, "mkdirat", 0, 1, NONE},
    {SYS_mkdir, "mkdir", NONE, 0, NONE},
    {SYS_renameat2, "renameat2", 0, 1, NONE, 3},
    {SYS_renameat, "renameat", 0, 1, NONE, 3},
    {SYS_rename, "rename", NONE, 0, NONE},
    {SYS_symlinkat, "symlinkat", 1, 2, NONE, NONE},
    {SYS_symlink, "symlink", NONE, 1, NONE},
    {SYS_linkat, "linkat", 2, 3, NONE},
    {SYS_link, "link", NONE, 1, NONE},
    {SYS_unlinkat, "unlinkat", 0, 1, NONE},
    {SYS_unlink, "unlink", NONE, 0, NONE},
    {SYS_rmdir, "rmdir", NONE, 0, NONE},
    {SYS_fchmod, "fchmod", 0, NONE, NONE},
    {SYS_fchmodat, "fchmodat", 0, 1, NONE},
    {SYS_chmod, "chmod", NONE, 0, NONE},
    {SYS_fchown, "fchown", 0, NONE, NONE},
    {SYS_fchownat, "fchownat", 0, 1, NONE},
    {SYS_utimensat, "utimensat", 0, 1, NONE},
    {SYS_write, "write", 0, NONE, NONE},
    {SYS_writev, "writev", 0, NONE, NONE},
    {SYS_pwrite64, "pwrite64", 0, NONE, NONE},
    {SYS_pwritev, "pwritev", 0, NONE, NONE},
    {SYS_ftruncate, "ftruncate", 0, NONE, NONE},
    {SYS_truncate, "truncate", NONE, 0, NONE},
    {SYS_fallocate, "fallocate", 0, NONE, NONE},
    {SYS_copy_file_range, "copy_file_range", 2, NONE, NONE},
    {SYS_sendfile, "sendfile", 0, NONE, NONE},
    {SYS_mknodat, "mknodat", 0, 1, NONE},
    {SYS_fsync, "fsync", 0, NONE, NONE},
    {SYS_fdatasync, "fdatasync", 0, NONE, NONE},
    {SYS_syncfs, "syncfs", 0, NONE, NONE},
    {SYS_sync_file_range, "sync_file_range", 0, NONE, NONE},
};

static struct {
    pid_t pid;
    bool inside; /* between entry and exit of a call */
    long result; /* to put in its place at the exit; 0: its own */
} tracees[TRACEES];

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number) {
    (void)number;
    asked_to_end = 1;
}

static int find(pid_t pid) {
    int free_one = NONE;
    for (int i = 0; i < TRACEES; i++) {
        if (tracees[i].pid == pid)
            return i;
        if (tracees[i].pid == 0 && free_one == NONE)
            free_one = i;
    }
    if (free_one == NONE) {
        fputs("tracer: too many processes\n", stderr);
        exit(EXIT_FAILURE);
    }
    tracees[free_one].pid = pid;
    tracees[free_one].inside = false;
    return free_one;
}

static void read_text(pid_t pid, uint64_t address, char *out, size_t size) {
    size_t n = 0;
    while (n + 1 < size) {
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)(address + n), NULL);
        if (errno)
            break;
        for (size_t i = 0; i < sizeof(word) && n + 1 < size; i++, n++)
            if (!(out[n] = (char)(word >> 8 * i)))
                return;
    }
    out[n] = '\0';
}

static uint64_t argument(const struct user_regs_struct *regs, int n) {
    const unsigned long long values[] = {regs->rdi, regs->rsi, regs->rdx,
                                         regs->r10, regs->r8,  regs->r9};
    return values[n];
}

/* The path that a call is about, absolute. */
static void resolve(pid_t pid, const struct call *call, const struct user_regs_struct *regs,
                    char out[2 * PATH_MAX]) {
    char name[PATH_MAX] = "", link[64], base[PATH_MAX] = "";
    if (call->path != NONE)
        read_text(pid, argument(regs, call->path), name, sizeof(name));
    int fd = call->fd == NONE ? AT_FDCWD : (int)argument(regs, call->fd);
    if (fd == AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/%d/cwd", pid);
    else
        snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
    if (name[0] != '/' && readlink(link, base, sizeof(base) - 1) < 0)
        base[0] = '\0';
    snprintf(out, 2 * PATH_MAX, "%s%s%s", base, *base && *name ? "/" : "", name);
}

struct order {
    const char *folder;
    FILE *log;
    bool kill, fail;
    long at, error, seen;
};

/* At the entry of a call: true when it is the one. */
static bool is_its_turn(struct order *order, pid_t pid, const struct user_regs_struct *regs) {
    if (regs->orig_rax == SYS_sendto || regs->orig_rax == SYS_sendmsg)
        fputs("0 send -\n", order->log);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].number != (long)regs->orig_rax)
            continue;
        if (calls[i].flags != NONE && !(argument(regs, calls[i].flags) & WRITING))
            return false;
        char path[2 * PATH_MAX];
        resolve(pid, &calls[i], regs, path);
        size_t len = strlen(order->folder);
        if (strncmp(path, order->folder, len) != 0 || (path[len] && path[len] != '/'))
            return false;
        char other[PATH_MAX] = "";
        if (calls[i].other)
            read_text(pid, argument(regs, calls[i].other == NONE ? 0 : calls[i].other), other,
                      sizeof(other));
        fprintf(order->log, "%ld %s %s%s%s\n", ++order->seen, calls[i].name, path,
                *other ? " " : "", other);
        fflush(order->log);
        return order->seen == order->at;
    }
    return false;
}

static _Noreturn void kill_all(void) {
    for (int i = 0; i < TRACEES; i++)
        if (tracees[i].pid)
            kill(tracees[i].pid, SIGKILL);
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno != EINTR)
            exit(KILLED);
        if (pid > 0 && WIFSTOPPED(status)) /* the last stop before its end */
            ptrace(PTRACE_CONT, pid, NULL, NULL);
    }
}

static void on_call(struct order *order, int at) {
    pid_t pid = tracees[at].pid;
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
        return;
    tracees[at].inside = !tracees[at].inside;
    if (tracees[at].inside && is_its_turn(order, pid, &regs)) {
        if (order->kill)
            kill_all();
        if (order->fail) {
            tracees[at].result = -order->error;
            regs.orig_rax = (unsigned long long)-1; /* no such call: the kernel skips it */
            ptrace(PTRACE_SETREGS, pid, NULL, &regs);
        }
    } else if (!tracees[at].inside && tracees[at].result) {
        regs.rax = (unsigned long long)tracees[at].result;
        tracees[at].result = 0;
        ptrace(PTRACE_SETREGS, pid, NULL, &regs);
    }
}

/* What a stop is about; the signal to go on with. */
static int on_stop(struct order *order, int at, int status) {
    int number = WSTOPSIG(status);
    if (number == (SIGTRAP | 0x80)) {
        on_call(order, at);
        return 0;
    }
    if (status >> 16) /* a fork, or a new tracee's first stop */
        return 0;
    return number == SIGSTOP ? 0 : number;
}

static int trace(struct order *order, pid_t main_pid) {
    int ending = EXIT_FAILURE;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (asked_to_end) {
            asked_to_end = 0;
            kill(main_pid, SIGTERM);
        }
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return ending;
        int at = find(pid);
        if (!WIFSTOPPED(status)) {
            tracees[at].pid = 0;
            if (pid == main_pid) /* which is our own child as well */
                ending = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        /* Let go of who is about to end: while a tracer has not waited for it, its parent is woken
         * for a child that it cannot wait for yet, and sd-event does not look again. */
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
            tracees[at].pid = 0;
            ptrace(PTRACE_DETACH, pid, NULL, NULL);
            continue;
        }
        int number = on_stop(order, at, status);
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)number);
    }
}

int main(int argc, char **argv) {
    if (argc < 7) {
        fputs("usage: tracer FOLDER LOG count|kill|fail N ERRNO PROGRAM [ARGUMENT]...\n", stderr);
        return 64;
    }
    struct order order = {
        .folder = argv[1],
        .log = fopen(argv[2], "w"),
        .kill = strcmp(argv[3], "kill") == 0,
        .fail = strcmp(argv[3], "fail") == 0,
        .at = strtol(argv[4], NULL, 10),
        .error = strtol(argv[5], NULL, 10),
    };
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    pid_t pid = order.log ? fork() : -1;
    if (pid < 0)
        return EXIT_FAILURE;
    if (pid == 0) {
        raise(SIGSTOP);
        execv(argv[6], argv + 6);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, WUNTRACED);
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                         PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) < 0) {
        perror("tracer");
        kill(pid, SIGKILL);
        return EXIT_FAILURE;
    }
    find(pid);
    kill(pid, SIGCONT);
    /* It runs until its next stop; from there on each call is one. */
    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    return trace(&order, pid);
}
