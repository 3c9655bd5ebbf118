/* SPDX-License-Identifier: BSD-2-Clause */
/* The serving half of the control protocol against clients that mean harm. */
#include <errno.h>

#include "ctl_fixture.h"

#define ECHO "\"method\":\"org.example.test.Echo\""
#define GOOD "{" ECHO ",\"parameters\":{\"text\":\"a\",\"names\":[\"b\"],\"flag\":true}}"
#define REFUSED                                                                          \
    "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":" \
    "\"message\"}}"

static void expect_refused_and_closed(struct fixture *f) {
    fixture_expect(f, REFUSED);
    assert_true(f->over);
    assert_int_equal(f->calls, 0);
    f->conn = ctl_conn_free(f->conn);
    char c;
    ssize_t n = read(f->peer, &c, 1);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
    fixture_free(f);
}

static void what_is_no_json_object_ends_it(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "null",
        "7",
        "\"text\"",
        "[]",
        "{",
        "}",
        "{]",
        "GET / HTTP/1.1\r\n\r\n",
        GOOD GOOD,
        GOOD "x",
        "{'method':1}",
        "{\"method\":\"a\",\"method\":\"b\"}",
        "{" ECHO ",\"parameters\":{\"text\":\"\xff\"}}",
        "{" ECHO ",\"parameters\":{\"text\":\"\xc0\x80\"}}",
        "{" ECHO ",\"parameters\":{\"text\":\"\\u0000\"}}",
        "{" ECHO ",\"parameters\":{\"text\":\"\\ud800\"}}",
        "{" ECHO ",\"parameters\":{\"text\":\"a\nb\"}}",
        "{" ECHO ",\"parameters\":{\"text\":\"a\",\"count\":99999999999999999999}}",
        "{" ECHO ",\"parameters\":{\"text\":\"a\",\"count\":1e999}}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture *f = fixture_new(true);
        fixture_say(f, bad[i]);
        fixture_say(f, GOOD); /* nothing that follows is served */
        expect_refused_and_closed(f);
    }
}

/* {"method":..., "parameters":{"text":"a","any":{"a":[[[...]]]}}}, depth brackets in all. */
static char *nested(unsigned depth) {
    static const char head[] =
        "{" ECHO ",\"parameters\":{\"text\":\"[[[[\\\"[[[[\",\"any\":{\"a\":";
    unsigned inner = depth - 3;
    char *text = malloc(sizeof(head) + 2 * inner + 4);
    assert_non_null(text);
    strcpy(text, head);
    char *at = text + strlen(text);
    memset(at, '[', inner);
    memset(at + inner, ']', inner);
    strcpy(at + 2 * inner, "}}}");
    return text;
}

static void depth_is_bounded(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    char *deepest = nested(CTL_DEPTH_MAX);
    fixture_say(f, deepest);
    json_t *heard = fixture_hear(f);
    assert_non_null(json_object_get(heard, "parameters"));
    assert_null(json_object_get(heard, "error"));
    json_decref(heard);
    free(deepest);
    fixture_free(f);
    static const unsigned too_deep[] = {CTL_DEPTH_MAX + 1, 2047, 2049, 30000};
    for (size_t i = 0; i < sizeof(too_deep) / sizeof(too_deep[0]); i++) {
        f = fixture_new(true);
        char *text = nested(too_deep[i]);
        fixture_say(f, text);
        free(text);
        expect_refused_and_closed(f);
    }
}

static void strings_and_lists_are_bounded(void **state) {
    (void)state;
    static const struct {
        size_t text, names;
        const char *unfit; /* NULL: accepted */
    } cases[] = {
        {CTL_STRING_MAX, CTL_STRINGS_MAX, NULL},
        {CTL_STRING_MAX + 1, 0, "text"},
        {60000, 0, "text"},
        {1, CTL_STRINGS_MAX + 1, "names"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = fixture_new(true);
        json_t *names = json_array();
        for (size_t n = 0; n < cases[i].names; n++)
            json_array_append_new(names, json_string("n"));
        char *text = malloc(cases[i].text + 1);
        memset(text, 'x', cases[i].text);
        text[cases[i].text] = '\0';
        json_t *call = json_pack("{s:s, s:{s:s, s:o}}", "method", "org.example.test.Echo",
                                 "parameters", "text", text, "names", names);
        char *dump = json_dumps(call, JSON_COMPACT);
        fixture_say(f, dump);
        json_t *heard = fixture_hear(f);
        const char *unfit =
            json_string_value(json_object_get(json_object_get(heard, "parameters"), "parameter"));
        if (cases[i].unfit)
            assert_string_equal(unfit, cases[i].unfit);
        else
            assert_int_equal(f->calls, 1);
        json_decref(heard);
        free(dump);
        json_decref(call);
        free(text);
        fixture_free(f);
    }
}

/* What an error quotes of the peer's own words stays small. */
static void quoted_names_are_cut(void **state) {
    (void)state;
    char name[3001], call[3300];
    memset(name, 'x', 3000);
    name[3000] = '\0';
    struct fixture *f = fixture_new(true);
    snprintf(call, sizeof(call), "{" ECHO ",\"parameters\":{\"text\":\"a\",\"%s\":1}}", name);
    fixture_say(f, call);
    json_t *heard = fixture_hear(f);
    json_t *unfit = json_object_get(json_object_get(heard, "parameters"), "parameter");
    assert_in_range(json_string_length(unfit), 1, 255);
    json_decref(heard);
    snprintf(call, sizeof(call), "{\"method\":\"org.example.test.%s\"}", name);
    fixture_say(f, call);
    fixture_expect(f, "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":"
                      "{\"parameter\":\"method\"}}");
    fixture_free(f);
}

static void a_message_beyond_the_limit_is_refused(void **state) {
    (void)state;
    char *big = malloc(CTL_MESSAGE_MAX);
    /* Exactly the limit, its NUL included. */
    struct fixture *f = fixture_new(true);
    memset(big, ' ', CTL_MESSAGE_MAX);
    memcpy(big, GOOD, strlen(GOOD));
    big[CTL_MESSAGE_MAX - 1] = '\0';
    fixture_send(f, big, CTL_MESSAGE_MAX);
    fixture_expect(f, "{\"parameters\":{\"text\":\"a\",\"names\":[\"b\"],\"flag\":true}}");
    fixture_free(f);
    /* One byte more. */
    f = fixture_new(true);
    big[CTL_MESSAGE_MAX - 1] = ' ';
    fixture_send(f, big, CTL_MESSAGE_MAX);
    fixture_run(f);
    expect_refused_and_closed(f);
    free(big);
}

static void ten_megabytes_are_cut_off_early(void **state) {
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof(text));
    struct fixture *f = fixture_new(true);
    size_t sent = 0;
    while (sent < 10u * 1024 * 1024 && !f->over) {
        ssize_t n = send(f->peer, text, sizeof(text), MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        fixture_run(f);
    }
    assert_in_range(sent, CTL_MESSAGE_MAX, 4 * CTL_MESSAGE_MAX);
    expect_refused_and_closed(f);
}

static void half_a_message_is_never_served(void **state) {
    (void)state;
    for (size_t len = 0; len < strlen(GOOD) + 1; len++) {
        struct fixture *f = fixture_new(true);
        if (len)
            fixture_send(f, GOOD, len);
        fixture_run(f);
        assert_false(f->over);
        shutdown(f->peer, SHUT_WR);
        fixture_expect_nothing(f);
        assert_true(f->over);
        assert_int_equal(f->calls, 0);
        fixture_free(f);
    }
}

static void bytes_may_come_one_by_one(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    for (size_t i = 0; i < sizeof(GOOD); i++) {
        assert_int_equal(f->calls, 0);
        fixture_send(f, &GOOD[i], 1);
        fixture_run(f);
    }
    assert_int_equal(f->calls, 1);
    fixture_free(f);
}

static void any_changed_byte_is_survived(void **state) {
    (void)state;
    static const unsigned char changes[] = {0x01, 0x20, 0x80, 0xff};
    for (size_t at = 0; at < strlen(GOOD); at++) {
        for (size_t c = 0; c <= sizeof(changes); c++) {
            char text[] = GOOD;
            text[at] = c < sizeof(changes) ? (char)(text[at] ^ changes[c]) : '\0';
            struct fixture *f = fixture_new(true);
            fixture_send(f, text, sizeof(text));
            json_t *heard = fixture_hear(f);
            assert_non_null(heard); /* each gets an answer of some kind */
            json_decref(heard);
            fixture_free(f);
        }
    }
}

static void a_follower_that_never_reads_is_cut_off(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    fixture_say(f, "{\"method\":\"org.example.test.Follow\",\"more\":true}");
    fixture_run(f);
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';
    unsigned replies = 0;
    while (!f->over && replies < 10000) {
        ctl_call_reply(f->kept, json_pack("{s:s}", "text", text), true);
        replies++;
        fixture_run(f);
    }
    /* The socket's own buffer comes on top of ours. */
    assert_true(f->over);
    assert_in_range(replies, CTL_BACKLOG_MAX / 1100, 4 * CTL_BACKLOG_MAX / 1000);
    f->conn = ctl_conn_free(f->conn);
    assert_int_equal(f->deaths, 1);
    fixture_free(f);
}

/* Without the loop turning in between: the shutdown has to wake it. */
static void the_cut_wakes_the_loop(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    fixture_say(f, "{\"method\":\"org.example.test.Follow\",\"more\":true}");
    fixture_run(f);
    char *text = calloc(1, CTL_BACKLOG_MAX);
    memset(text, 'x', CTL_BACKLOG_MAX - 1);
    /* One answer may be large, as long as it is the only one. */
    ctl_call_reply(f->kept, json_pack("{s:s}", "text", text), true);
    assert_false(ctl_call_is_dead(f->kept));
    struct pollfd p = {.fd = ctl_conn_fd(f->conn)};
    assert_int_equal(poll(&p, 1, 0), 0);
    ctl_call_reply(f->kept, NULL, true);
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_true(p.revents & POLLHUP);
    assert_true(ctl_conn_process(f->conn, p.revents) < 0);
    free(text);
    fixture_free(f);
}

/* More than the socket holds goes out in pieces, in order, as the peer reads. */
static void a_large_answer_goes_out_in_pieces(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    fixture_say(f, "{\"method\":\"org.example.test.Follow\",\"more\":true}");
    fixture_run(f);
    json_t *parts = json_array();
    for (int i = 0; i < 200000; i++)
        json_array_append_new(parts, json_integer(i));
    json_t *wanted = json_pack("{s:{s:O}}", "parameters", "parts", parts);
    json_t *params = json_pack("{s:o}", "parts", parts);
    char *again = json_dumps(wanted, JSON_COMPACT);
    assert_in_range(strlen(again), CTL_BACKLOG_MAX + 1, 4 * CTL_BACKLOG_MAX);
    ctl_call_reply(f->kept, params, false);
    fixture_expect(f, again);
    free(again);
    json_decref(wanted);
    fixture_free(f);
}

/* A peer that sends calls and fetches no answers gets stuck; our memory does not grow. */
static void a_flood_of_calls_is_throttled(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    char call[3000];
    int head = snprintf(call, sizeof(call), "{" ECHO ",\"parameters\":{\"text\":\"");
    memset(call + head, 'x', 2000);
    strcpy(call + head + 2000, "\"}}");
    unsigned sent = 0;
    while (sent < 10000 && send(f->peer, call, strlen(call) + 1, MSG_NOSIGNAL) > 0) {
        sent++;
        fixture_run(f);
    }
    assert_in_range(sent, 10, 9999);
    assert_false(f->over);
    assert_int_equal(ctl_conn_events(f->conn), POLLOUT);
    /* It is served as soon as it reads. A short write may have left a last half call. */
    unsigned answers = 0;
    json_t *heard;
    while ((heard = fixture_hear(f))) {
        answers++;
        json_decref(heard);
    }
    assert_in_range(answers, sent - 1, sent);
    fixture_free(f);
}

/* A call that keeps the connection busy does not let the peer fill our memory either. */
static void nothing_is_hoarded_behind_an_open_call(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    fixture_say(f, "{\"method\":\"org.example.test.Keep\"}");
    char spaces[4096];
    memset(spaces, ' ', sizeof(spaces));
    size_t sent = 0;
    for (ssize_t n; (n = send(f->peer, spaces, sizeof(spaces), MSG_NOSIGNAL)) > 0;) {
        sent += (size_t)n;
        assert_true(sent < 100 * CTL_MESSAGE_MAX);
        fixture_run(f);
    }
    assert_int_equal(ctl_conn_events(f->conn), 0);
    assert_false(f->over);
    ctl_call_reply(f->kept, NULL, false);
    fixture_expect(f, "{\"parameters\":{}}");
    fixture_expect(f, REFUSED);
    fixture_free(f);
}

static void passed_descriptors_are_not_taken(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    char good[] = GOOD;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {good, sizeof(good)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &pipes[1], sizeof(int));
    assert_int_equal(sendmsg(f->peer, &message, 0), (ssize_t)sizeof(good));
    close(pipes[1]);
    json_decref(fixture_hear(f));
    char c;
    assert_int_equal(read(pipes[0], &c, 1), 0); /* nobody holds the other end */
    close(pipes[0]);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_json_object_ends_it),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(strings_and_lists_are_bounded),
        cmocka_unit_test(quoted_names_are_cut),
        cmocka_unit_test(a_message_beyond_the_limit_is_refused),
        cmocka_unit_test(ten_megabytes_are_cut_off_early),
        cmocka_unit_test(half_a_message_is_never_served),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(any_changed_byte_is_survived),
        cmocka_unit_test(a_follower_that_never_reads_is_cut_off),
        cmocka_unit_test(the_cut_wakes_the_loop),
        cmocka_unit_test(a_large_answer_goes_out_in_pieces),
        cmocka_unit_test(a_flood_of_calls_is_throttled),
        cmocka_unit_test(nothing_is_hoarded_behind_an_open_call),
        cmocka_unit_test(passed_descriptors_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
