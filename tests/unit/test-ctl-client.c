/* SPDX-License-Identifier: BSD-2-Clause */
/* The asking half of the control protocol, against a real socket whose other end says anything. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "support.h"

struct place {
    char *folder, *path;
    int fd;    /* listening; -1: not */
    pid_t pid; /* who answers */
};

static struct sockaddr_un address_of(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    return address;
}

static struct place place_new(void) {
    struct place p = {.folder = support_tmpdir()};
    p.path = text_format("%s/control", p.folder);
    struct sockaddr_un address = address_of(p.path);
    p.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(p.fd, 1), 0);
    return p;
}

static void place_free(struct place *p) {
    close(p->fd);
    if (p->pid > 0) {
        int status;
        kill(p->pid, SIGKILL);
        waitpid(p->pid, &status, 0);
    }
    free(p->path);
    support_tmpdir_remove(p->folder);
}

/* A process that accepts, reads one message, says these bytes piece by piece, and, if asked to,
 * stays silent afterwards instead of hanging up. */
static void place_answer(struct place *p, const char *bytes, size_t len, size_t piece, bool stay) {
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid > 0)
        return;
    int peer = accept(p->fd, NULL, NULL);
    for (char c = 'x'; c && read(peer, &c, 1) == 1;)
        ;
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        if (write(peer, bytes + at, n) != (ssize_t)n)
            break;
        usleep(200);
    }
    while (stay)
        pause();
    _exit(0);
}

/* Connects and calls. */
static struct ctl_client *ask(struct place *p) {
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    assert_int_equal(ctl_client_connect(p->path, &client, &err), 0);
    assert_int_equal(ctl_client_send(client, "a.b.C", NULL, true, &err), 0);
    return client;
}

static void nobody_there_says_how_to_start_it(void **state) {
    (void)state;
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    struct place p = place_new();
    close(p.fd);
    p.fd = -1;
    assert_int_equal(ctl_client_connect(p.path, &client, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.text, p.path));
    assert_non_null(strstr(err.text, "systemctl start estcd"));
    unlink(p.path);
    assert_int_equal(ctl_client_connect(p.path, &client, &err), -ENOENT);
    assert_non_null(strstr(err.text, "systemctl start estcd"));
    assert_null(client);
    place_free(&p);
}

static void a_path_too_long_is_an_error_not_a_cut(void **state) {
    (void)state;
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    assert_int_equal(ctl_client_connect(path, &client, &err), -ENAMETOOLONG);
    assert_null(client);
}

static void a_closed_socket_names_permission(void **state) {
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    struct place p = place_new();
    assert_int_equal(chmod(p.folder, 0755), 0);
    assert_int_equal(chmod(p.path, 0600), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct ctl_client *client = NULL;
        struct estc_error err = {0};
        int rc = setgid(65534) || setuid(65534) ? 0 : ctl_client_connect(p.path, &client, &err);
        _exit(rc == -EACCES && strstr(err.text, "permission") && !client ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    place_free(&p);
}

static void replies_come_whole_however_they_are_cut(void **state) {
    (void)state;
    static const char said[] = "{\"parameters\":{\"n\":1},\"continues\":true}\0"
                               "{\"parameters\":{\"n\":2},\"continues\":true,\"extra\":[]}\0"
                               "{}\0"
                               "{\"error\":\"a.b.Wrong\",\"parameters\":{\"id\":\"x\"}}";
    static const size_t pieces[] = {1, 7, 40, sizeof(said)};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct place p = place_new();
        place_answer(&p, said, sizeof(said), pieces[i], false);
        struct ctl_client *client = ask(&p);
        struct estc_error err = {0};
        struct ctl_reply reply;
        for (int n = 1; n <= 2; n++) {
            assert_int_equal(ctl_client_receive(client, 10000, &reply, &err), 0);
            assert_true(reply.continues);
            assert_null(reply.error);
            assert_int_equal(json_integer_value(json_object_get(reply.params, "n")), n);
            ctl_reply_clear(&reply);
        }
        assert_int_equal(ctl_client_receive(client, -1, &reply, &err), 0);
        assert_false(reply.continues);
        assert_int_equal(json_object_size(reply.params), 0);
        ctl_reply_clear(&reply);
        assert_int_equal(ctl_client_receive(client, 10000, &reply, &err), 0);
        assert_string_equal(reply.error, "a.b.Wrong");
        ctl_reply_clear(&reply);
        assert_int_equal(ctl_client_receive(client, 10000, &reply, &err), -ECONNRESET);
        assert_non_null(strstr(err.text, p.path));
        ctl_client_free(client);
        place_free(&p);
    }
}

static void what_is_no_reply_is_malformed(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "hello",
        "[]",
        "{",
        "{\"parameters\":[]}",
        "{\"parameters\":null}",
        "{\"error\":1}",
        "{\"error\":\"a.b.C\",\"continues\":true}",
        "{\"continues\":1}",
        "{\"parameters\":{},\"parameters\":{}}",
        "{\"parameters\":{\"a\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct place p = place_new();
        place_answer(&p, bad[i], strlen(bad[i]) + 1, 4096, false);
        struct ctl_client *client = ask(&p);
        struct estc_error err = {0};
        struct ctl_reply reply = {0};
        assert_int_equal(ctl_client_receive(client, 10000, &reply, &err), ESTC_E_MALFORMED);
        assert_null(reply.params);
        ctl_client_free(client);
        place_free(&p);
    }
}

static void half_a_reply_is_a_lost_connection(void **state) {
    (void)state;
    static const char said[] = "{\"parameters\":{}}";
    struct place p = place_new();
    place_answer(&p, said, strlen(said), 4096, false);
    struct ctl_client *client = ask(&p);
    struct estc_error err = {0};
    struct ctl_reply reply = {0};
    assert_int_equal(ctl_client_receive(client, 10000, &reply, &err), -ECONNRESET);
    ctl_client_free(client);
    place_free(&p);
}

static void silence_ends_at_the_deadline(void **state) {
    (void)state;
    /* Bytes that keep coming do not move it. */
    static const char said[1000] = "{\"parameters\":{}";
    for (int talkative = 0; talkative < 2; talkative++) {
        struct place p = place_new();
        place_answer(&p, said, talkative ? strlen(said) : 0, 1, true);
        struct ctl_client *client = ask(&p);
        struct estc_error err = {0};
        struct ctl_reply reply = {0};
        int64_t begin = clock_boot_ms();
        assert_int_equal(ctl_client_receive(client, 100, &reply, &err), -ETIMEDOUT);
        assert_in_range(clock_boot_ms() - begin, 99, 5000);
        assert_int_equal(ctl_client_receive(client, 0, &reply, &err), -ETIMEDOUT);
        ctl_client_free(client);
        place_free(&p);
    }
}

static void an_endless_reply_is_bounded(void **state) {
    (void)state;
    size_t len = 17 * 1024 * 1024;
    char *said = malloc(len);
    assert_non_null(said);
    memset(said, ' ', len);
    struct place p = place_new();
    place_answer(&p, said, len, len, true);
    struct ctl_client *client = ask(&p);
    struct estc_error err = {0};
    struct ctl_reply reply = {0};
    assert_int_equal(ctl_client_receive(client, 60000, &reply, &err), ESTC_E_TOO_LARGE);
    ctl_client_free(client);
    place_free(&p);
    free(said);
}

static void a_call_too_large_is_not_sent(void **state) {
    (void)state;
    struct place p = place_new();
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    assert_int_equal(ctl_client_connect(p.path, &client, &err), 0);
    char *text = calloc(1, CTL_MESSAGE_MAX);
    memset(text, 'x', CTL_MESSAGE_MAX - 1);
    json_t *params = json_pack("{s:s}", "text", text);
    assert_int_equal(ctl_client_send(client, "a.b.C", params, false, &err), -EMSGSIZE);
    json_decref(params);
    free(text);
    ctl_client_free(client);
    assert_null(ctl_client_free(NULL));
    place_free(&p);
}

static void sending_to_who_hung_up_fails_without_a_signal(void **state) {
    (void)state;
    struct place p = place_new();
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    assert_int_equal(ctl_client_connect(p.path, &client, &err), 0);
    close(accept(p.fd, NULL, NULL));
    assert_int_equal(ctl_client_send(client, "a.b.C", NULL, false, &err), -ECONNRESET);
    ctl_client_free(client);
    place_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_there_says_how_to_start_it),
        cmocka_unit_test(a_path_too_long_is_an_error_not_a_cut),
        cmocka_unit_test(a_closed_socket_names_permission),
        cmocka_unit_test(replies_come_whole_however_they_are_cut),
        cmocka_unit_test(what_is_no_reply_is_malformed),
        cmocka_unit_test(half_a_reply_is_a_lost_connection),
        cmocka_unit_test(silence_ends_at_the_deadline),
        cmocka_unit_test(an_endless_reply_is_bounded),
        cmocka_unit_test(a_call_too_large_is_not_sent),
        cmocka_unit_test(sending_to_who_hung_up_fails_without_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
