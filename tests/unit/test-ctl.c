/* SPDX-License-Identifier: BSD-2-Clause */
/* The serving half of the control protocol, as a well-behaved client sees it. */
#include "ctl_fixture.h"

#define ECHO "\"method\":\"org.example.test.Echo\""

static void info_names_us_and_both_interfaces(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.varlink.service.GetInfo\"}");
    fixture_expect(f, "{\"parameters\":{\"vendor\":\"Vendor\",\"product\":\"Product\","
                      "\"version\":\"1\",\"url\":\"https://example.org/\","
                      "\"interfaces\":[\"org.varlink.service\",\"org.example.test\"]}}");
    fixture_free(f);
}

static void description_is_varlink(void **state) {
    (void)state;
    char *text = ctl_interface_text(&fixture_interface);
    assert_string_equal(text, "# For tests.\n"
                              "interface org.example.test\n"
                              "\n"
                              "type Thing (\n"
                              "  name: string,\n"
                              "  sizes: ?[]string\n"
                              ")\n"
                              "\n"
                              "# Says the same.\n"
                              "# In two lines.\n"
                              "method Echo(text: string, count: ?int, flag: ?bool, "
                              "names: ?[]string, thing: ?Thing, things: ?[]Thing, any: ?object)"
                              " -> (text: string, count: ?int, flag: ?bool, "
                              "names: ?[]string, thing: ?Thing, things: ?[]Thing, any: ?object)\n"
                              "\n"
                              "# Answers later.\n"
                              "method Keep() -> ()\n"
                              "\n"
                              "# Goes on.\n"
                              "# Only with 'more'.\n"
                              "method Follow() -> ()\n"
                              "\n"
                              "# Never answers.\n"
                              "method Forget() -> ()\n"
                              "\n"
                              "# Fails.\n"
                              "method Fail(id: string) -> ()\n"
                              "\n"
                              "# Changes.\n"
                              "# Needs the right to change.\n"
                              "method Change(text: string, count: ?int, flag: ?bool, "
                              "names: ?[]string, thing: ?Thing, things: ?[]Thing, any: ?object)"
                              " -> (text: string, count: ?int, flag: ?bool, "
                              "names: ?[]string, thing: ?Thing, things: ?[]Thing, any: ?object)\n"
                              "\n"
                              "# Not here.\n"
                              "error NoSuchThing (id: string)\n");
    free(text);
}

static void both_descriptions_can_be_asked_for(void **state) {
    (void)state;
    static const char *const names[] = {"org.varlink.service", "org.example.test"};
    struct fixture *f = fixture_new(false);
    for (size_t i = 0; i < 2; i++) {
        char ask[200], begin[100];
        snprintf(ask, sizeof(ask),
                 "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                 "\"parameters\":{\"interface\":\"%s\"}}",
                 names[i]);
        snprintf(begin, sizeof(begin), "interface %s\n", names[i]);
        fixture_say(f, ask);
        json_t *heard = fixture_hear(f);
        const char *text =
            json_string_value(json_object_get(json_object_get(heard, "parameters"), "description"));
        assert_non_null(text);
        assert_non_null(strstr(text, begin));
        json_decref(heard);
    }
    fixture_free(f);
}

/* What is asked, and the error with its parameters. The connection survives each of them. */
static const struct {
    const char *ask, *error, *params;
} refused[] = {
    {"{\"method\":\"org.example.other.Echo\"}", "InterfaceNotFound",
     "{\"interface\":\"org.example.other\"}"},
    {"{\"method\":\"Echo\"}", "InterfaceNotFound", "{\"interface\":\"Echo\"}"},
    {"{\"method\":\"\"}", "InterfaceNotFound", "{\"interface\":\"\"}"},
    {"{\"method\":\".\"}", "InterfaceNotFound", "{\"interface\":\"\"}"},
    {"{\"method\":\"org.example.test\"}", "InterfaceNotFound", "{\"interface\":\"org.example\"}"},
    {"{\"method\":\"org.example.test.\"}", "MethodNotFound", "{\"method\":\"org.example.test.\"}"},
    {"{\"method\":\"org.example.test.echo\"}", "MethodNotFound",
     "{\"method\":\"org.example.test.echo\"}"},
    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\","
     "\"parameters\":{\"interface\":\"org.example\"}}",
     "InterfaceNotFound", "{\"interface\":\"org.example\"}"},
    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\"}", "InvalidParameter",
     "{\"parameter\":\"interface\"}"},
    {"{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{\"x\":1}}", "InvalidParameter",
     "{\"parameter\":\"x\"}"},
    {"{}", "InvalidParameter", "{\"parameter\":\"method\"}"},
    {"{\"method\":7}", "InvalidParameter", "{\"parameter\":\"method\"}"},
    {"{\"method\":null}", "InvalidParameter", "{\"parameter\":\"method\"}"},
    {"{" ECHO ",\"parameters\":[]}", "InvalidParameter", "{\"parameter\":\"parameters\"}"},
    {"{" ECHO ",\"more\":1}", "InvalidParameter", "{\"parameter\":\"more\"}"},
    {"{" ECHO ",\"oneway\":\"yes\"}", "InvalidParameter", "{\"parameter\":\"oneway\"}"},
    {"{" ECHO ",\"upgrade\":{}}", "InvalidParameter", "{\"parameter\":\"upgrade\"}"},
    {"{" ECHO ",\"upgrade\":true,\"parameters\":{\"text\":\"a\"}}", "InvalidParameter",
     "{\"parameter\":\"upgrade\"}"},
    {"{" ECHO "}", "InvalidParameter", "{\"parameter\":\"text\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":null}}", "InvalidParameter", "{\"parameter\":\"text\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"texts\":\"b\"}}", "InvalidParameter",
     "{\"parameter\":\"texts\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"count\":1.0}}", "InvalidParameter",
     "{\"parameter\":\"count\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"count\":\"1\"}}", "InvalidParameter",
     "{\"parameter\":\"count\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"flag\":0}}", "InvalidParameter",
     "{\"parameter\":\"flag\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"names\":\"b\"}}", "InvalidParameter",
     "{\"parameter\":\"names\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"names\":[\"b\",1]}}", "InvalidParameter",
     "{\"parameter\":\"names\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"thing\":{}}}", "InvalidParameter",
     "{\"parameter\":\"thing\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"thing\":{\"name\":\"b\",\"size\":1}}}",
     "InvalidParameter", "{\"parameter\":\"thing\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"things\":[{\"name\":\"b\"},{\"name\":1}]}}",
     "InvalidParameter", "{\"parameter\":\"things\"}"},
    {"{" ECHO ",\"parameters\":{\"text\":\"a\",\"any\":1}}", "InvalidParameter",
     "{\"parameter\":\"any\"}"},
    {"{\"method\":\"org.example.test.Follow\"}", "ExpectedMore", "{}"},
    {"{\"method\":\"org.example.test.Follow\",\"more\":false}", "ExpectedMore", "{}"},
    {"{\"method\":\"org.example.test.Forget\"}", "MethodNotImplemented",
     "{\"method\":\"org.example.test.Forget\"}"},
};

static void wrong_calls_are_named_and_survived(void **state) {
    (void)state;
    struct fixture *f = fixture_new(true);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char want[300];
        snprintf(want, sizeof(want), "{\"error\":\"org.varlink.service.%s\",\"parameters\":%s}",
                 refused[i].error, refused[i].params);
        fixture_say(f, refused[i].ask);
        fixture_expect(f, want);
    }
    assert_int_equal(f->calls, 1); /* Forget's handler, no other */
    fixture_say(f, "{" ECHO ",\"parameters\":{\"text\":\"still here\"}}");
    fixture_expect(f, "{\"parameters\":{\"text\":\"still here\"}}");
    fixture_free(f);
}

static void right_types_reach_the_handler(void **state) {
    (void)state;
    static const char params[] =
        "{\"text\":\"\\u00e4 \\ud83d\\ude00\",\"count\":-9223372036854775808,\"flag\":true,"
        "\"names\":[\"a\",\"\"],\"thing\":{\"name\":\"n\",\"sizes\":[]},"
        "\"things\":[{\"name\":\"m\"}],\"any\":{\"x\":[null]}}";
    struct fixture *f = fixture_new(false);
    char text[600];
    snprintf(text, sizeof(text), "{" ECHO ",\"parameters\":%s,\"later\":[1]}", params);
    fixture_say(f, text);
    snprintf(text, sizeof(text), "{\"parameters\":%s}", params);
    fixture_expect(f, text);
    fixture_free(f);
}

static void null_is_absent_where_absent_is_allowed(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{" ECHO ",\"more\":null,\"oneway\":null,"
                   "\"parameters\":{\"text\":\"a\",\"count\":null,\"thing\":null}}");
    fixture_expect(f, "{\"parameters\":{\"text\":\"a\"}}");
    fixture_free(f);
}

static void errors_of_the_interface_carry_its_name(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.example.test.Fail\",\"parameters\":{\"id\":\"x\"}}");
    fixture_expect(f, "{\"error\":\"org.example.test.NoSuchThing\",\"parameters\":{\"id\":\"x\"}}");
    fixture_free(f);
}

/* Whoever may change may not say what an owner alone can know. */
static void some_things_are_the_owners_alone(void **state) {
    (void)state;
    static const struct ctl_method methods[] = {
        {.name = "Own", .changes = true, .owners = true, .handle = handle_keep, .doc = "Owns."},
        {NULL},
    };
    static const struct ctl_interface interface = {
        .name = "org.example.test", .doc = "For tests.", .methods = methods};
    static const struct ctl_service service = {
        .vendor = "V", .product = "P", .version = "1", .url = "u", .interface = &interface};
    for (int owner = 0; owner <= 1; owner++) {
        struct fixture *f = fixture_new(true);
        ctl_conn_free(f->conn);
        close(f->peer);
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                         0);
        const struct ctl_conn_options options = {
            .service = &service, .may_change = true, .is_owner = owner, .arg = f};
        assert_int_equal(ctl_conn_new(fds[0], &options, &f->conn), 0);
        f->peer = fds[1];
        fixture_say(f, "{\"method\":\"org.example.test.Own\"}");
        if (!owner)
            fixture_expect(f, "{\"error\":\"org.example.test.NotAllowed\","
                              "\"parameters\":{\"group\":\"root\"}}");
        fixture_run(f);
        assert_int_equal(f->kept != NULL, owner);
        fixture_free(f);
    }
}

static void changing_needs_the_right(void **state) {
    (void)state;
    static const char call[] =
        "{\"method\":\"org.example.test.Change\",\"parameters\":{\"text\":\"a\"}}";
    struct fixture *reader = fixture_new(false);
    fixture_say(reader, call);
    fixture_expect(reader, "{\"error\":\"org.example.test.NotAllowed\","
                           "\"parameters\":{\"group\":\"changers\"}}");
    /* Not even whether the parameters were right. */
    fixture_say(reader, "{\"method\":\"org.example.test.Change\",\"parameters\":{\"x\":1}}");
    fixture_expect(reader, "{\"error\":\"org.example.test.NotAllowed\","
                           "\"parameters\":{\"group\":\"changers\"}}");
    assert_int_equal(reader->calls, 0);
    fixture_free(reader);
    struct fixture *changer = fixture_new(true);
    fixture_say(changer, call);
    fixture_expect(changer, "{\"parameters\":{\"text\":\"a\"}}");
    fixture_free(changer);
}

static void oneway_gets_no_answer_not_even_an_error(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{" ECHO ",\"oneway\":true,\"parameters\":{\"text\":\"a\"}}");
    fixture_say(f, "{" ECHO ",\"oneway\":true}");
    fixture_say(f, "{" ECHO ",\"oneway\":true,\"more\":true,\"parameters\":{\"text\":\"a\"}}");
    fixture_say(f, "{\"oneway\":true}");
    fixture_say(f, "{\"method\":\"a.b.C\",\"oneway\":true}");
    fixture_say(f, "{\"method\":\"org.example.test.Forget\",\"oneway\":true}");
    fixture_say(f, "{\"method\":\"org.example.test.Change\",\"oneway\":true}");
    fixture_expect_nothing(f);
    assert_int_equal(f->calls, 2);
    assert_false(f->over);
    fixture_free(f);
}

static void a_kept_oneway_call_is_dead_and_blocks_nobody(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.example.test.Keep\",\"oneway\":true}");
    fixture_say(f, "{" ECHO ",\"parameters\":{\"text\":\"next\"}}");
    fixture_expect(f, "{\"parameters\":{\"text\":\"next\"}}");
    assert_true(ctl_call_is_dead(f->kept));
    ctl_call_reply(f->kept, json_pack("{s:s}", "text", "unheard"), false);
    fixture_expect_nothing(f);
    fixture_free(f);
}

static void answers_come_in_the_order_of_the_calls(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.example.test.Keep\"}");
    fixture_say(f, "{" ECHO ",\"parameters\":{\"text\":\"1\"}}");
    fixture_say(f, "{" ECHO ",\"parameters\":{\"text\":\"2\"}}");
    fixture_expect_nothing(f);
    assert_int_equal(f->calls, 1);
    ctl_call_reply(f->kept, NULL, false);
    assert_int_equal(f->wakeups, 1);
    assert_true(ctl_call_is_dead(f->kept));
    ctl_call_reply(f->kept, NULL, false); /* one too many: ignored */
    fixture_expect(f, "{\"parameters\":{}}");
    fixture_expect(f, "{\"parameters\":{\"text\":\"1\"}}");
    fixture_expect(f, "{\"parameters\":{\"text\":\"2\"}}");
    assert_int_equal(f->deaths, 0);
    fixture_free(f);
}

static void more_continues_until_the_last(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.example.test.Follow\",\"more\":true}");
    fixture_run(f);
    assert_true(ctl_call_wants_more(f->kept));
    ctl_call_reply(f->kept, json_pack("{s:i}", "n", 1), true);
    ctl_call_reply(f->kept, json_pack("{s:i}", "n", 2), true);
    fixture_expect(f, "{\"continues\":true,\"parameters\":{\"n\":1}}");
    fixture_expect(f, "{\"continues\":true,\"parameters\":{\"n\":2}}");
    fixture_expect_nothing(f);
    ctl_call_error(f->kept, "NoSuchThing", json_pack("{s:s}", "id", "gone"));
    fixture_expect(f,
                   "{\"error\":\"org.example.test.NoSuchThing\",\"parameters\":{\"id\":\"gone\"}}");
    fixture_free(f);
}

static void without_more_the_first_reply_is_the_last(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.example.test.Keep\"}");
    fixture_run(f);
    assert_false(ctl_call_wants_more(f->kept));
    ctl_call_reply(f->kept, json_pack("{s:i}", "n", 1), true);
    ctl_call_reply(f->kept, json_pack("{s:i}", "n", 2), false);
    fixture_expect(f, "{\"parameters\":{\"n\":1}}");
    fixture_expect_nothing(f);
    fixture_free(f);
}

static void a_kept_call_given_back_unanswered_is_answered(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.example.test.Keep\"}");
    fixture_run(f);
    f->kept = ctl_call_unref(f->kept);
    fixture_expect(f, "{\"error\":\"org.varlink.service.MethodNotImplemented\","
                      "\"parameters\":{\"method\":\"org.example.test.Keep\"}}");
    fixture_free(f);
}

static void a_gone_caller_kills_its_call_once(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{\"method\":\"org.example.test.Follow\",\"more\":true}");
    fixture_run(f);
    close(f->peer);
    f->peer = -1;
    fixture_run(f);
    assert_true(f->over);
    f->conn = ctl_conn_free(f->conn);
    assert_int_equal(f->deaths, 1);
    ctl_call_reply(f->kept, json_pack("{s:i}", "n", 1), true);
    fixture_free(f);
    assert_null(ctl_conn_free(NULL));
    assert_null(ctl_call_unref(NULL));
}

static void a_caller_may_close_its_sending_half_and_listen(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    fixture_say(f, "{" ECHO ",\"parameters\":{\"text\":\"a\"}}");
    fixture_say(f, "{\"method\":\"org.example.test.Keep\"}");
    shutdown(f->peer, SHUT_WR);
    fixture_expect(f, "{\"parameters\":{\"text\":\"a\"}}");
    assert_false(f->over);
    assert_int_equal(ctl_conn_events(f->conn), 0); /* and the loop does not spin meanwhile */
    ctl_call_reply(f->kept, NULL, false);
    fixture_expect(f, "{\"parameters\":{}}");
    assert_true(f->over);
    fixture_free(f);
}

static void calls_of_a_peer_that_left_at_once_are_still_made(void **state) {
    (void)state;
    struct fixture *f = fixture_new(false);
    for (unsigned i = 0; i < 100; i++)
        fixture_say(f, "{" ECHO ",\"oneway\":true,\"parameters\":{\"text\":\"a\"}}");
    close(f->peer);
    f->peer = -1;
    fixture_run(f);
    assert_true(f->over);
    assert_int_equal(f->calls, 100);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_names_us_and_both_interfaces),
        cmocka_unit_test(description_is_varlink),
        cmocka_unit_test(both_descriptions_can_be_asked_for),
        cmocka_unit_test(wrong_calls_are_named_and_survived),
        cmocka_unit_test(right_types_reach_the_handler),
        cmocka_unit_test(null_is_absent_where_absent_is_allowed),
        cmocka_unit_test(errors_of_the_interface_carry_its_name),
        cmocka_unit_test(changing_needs_the_right),
        cmocka_unit_test(some_things_are_the_owners_alone),
        cmocka_unit_test(oneway_gets_no_answer_not_even_an_error),
        cmocka_unit_test(a_kept_oneway_call_is_dead_and_blocks_nobody),
        cmocka_unit_test(answers_come_in_the_order_of_the_calls),
        cmocka_unit_test(more_continues_until_the_last),
        cmocka_unit_test(without_more_the_first_reply_is_the_last),
        cmocka_unit_test(a_kept_call_given_back_unanswered_is_answered),
        cmocka_unit_test(a_gone_caller_kills_its_call_once),
        cmocka_unit_test(a_caller_may_close_its_sending_half_and_listen),
        cmocka_unit_test(calls_of_a_peer_that_left_at_once_are_still_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
