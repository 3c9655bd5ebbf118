/* SPDX-License-Identifier: BSD-2-Clause */
/* What estc prints, from JSON to text, at a time of the test's choice. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support.h"
#include "view.h"

#define NOW "2026-12-30T12:00:00Z"

static int64_t now(void) {
    int64_t at;
    assert_int_equal(clock_parse(NOW, &at), 0);
    return at;
}

static json_t *parse(const char *text) {
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", error.text, text);
    return json;
}

/* What is written to a stream by a function that prints a table. */
static char *printed(const struct table *table, const struct print_style *style) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    table_print(table, out, style);
    fclose(out);
    return text;
}

#define EXAMPLE                                                                            \
    "[{\"id\":\"gw-mqtt\",\"state\":\"valid\",\"next_action\":\"renew\",\"failures\":0,"   \
    "  \"next_due\":\"2027-02-09T08:12:00Z\",\"last_result\":\"ok\","                      \
    "  \"certificate\":{\"not_after\":\"2027-03-01T12:00:00Z\"}},"                         \
    " {\"id\":\"gw-opcua\",\"state\":\"pending\",\"next_action\":\"poll\",\"failures\":0," \
    "  \"next_due\":\"2026-12-30T12:04:10Z\",\"last_result\":\"pending\","                 \
    "  \"last_error\":\"5.03 awaiting approval\"},"                                        \
    " {\"id\":\"gw-vpn\",\"state\":\"failing\",\"next_action\":\"renew\",\"failures\":5,"  \
    "  \"exit_code\":3,"                                                                   \
    "  \"next_due\":\"2026-12-30T12:38:59Z\",\"last_result\":\"timeout\","                 \
    "  \"last_error\":\"DTLS timeout: no reply from [fe80::1%eth1]:5684\","                \
    "  \"certificate\":{\"not_after\":\"2027-01-06T13:00:00Z\"}}]"

static void list_is_a_table(void **state) {
    (void)state;
    json_t *identities = parse(EXAMPLE);
    struct table *table = view_list(identities, now(), false);
    char *text = printed(table, &(struct print_style){0});
    assert_string_equal(
        text, "ID        STATE    EXPIRES            LEFT  NEXT ACTION           LAST RESULT\n"
              "gw-mqtt   valid    2027-03-01 12:00Z  61d   renew 2027-02-09      ok\n"
              "gw-opcua  pending  -                  -     poll in 4m (Max-Age)  5.03 awaiting "
              "approval\n"
              "gw-vpn    failing  2027-01-06 13:00Z  7d    retry in 38m (try 6)  "
              "DTLS timeout: no reply from [fe80::1%eth1]:5684\n");
    free(text);
    char *footer = view_footer(identities);
    assert_string_equal(footer, "3 identities, 1 needs attention.");
    free(footer);
    table_free(table);
    json_decref(identities);
}

static void list_without_legend_has_no_headings(void **state) {
    (void)state;
    json_t *identities = parse("[{\"id\":\"a\",\"state\":\"new\"}]");
    struct table *table = view_list(identities, now(), true);
    char *text = printed(table, &(struct print_style){0});
    assert_string_equal(text, "a  new  -  -  -  -\n");
    free(text);
    table_free(table);
    json_decref(identities);
}

static void a_terminal_gets_colour_and_no_line_too_long(void **state) {
    (void)state;
    json_t *identities = parse(EXAMPLE);
    struct table *table = view_list(identities, now(), false);
    char *text = printed(table, &(struct print_style){.colour = true, .width = 90});
    assert_non_null(strstr(text, "\033[32mvalid\033[0m    2027"));
    assert_non_null(strstr(text, "\033[33mpending\033[0m  -"));
    assert_non_null(strstr(text, "\033[31mfailing\033[0m  2027"));
    assert_non_null(strstr(text, "  DTLS timeout: no repl...\n"));
    free(text);
    text = printed(table, &(struct print_style){.width = 90});
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_in_range(print_width(line), 1, 90);
    free(text);
    /* Too narrow for anything: the last column keeps a few characters all the same. */
    text = printed(table, &(struct print_style){.width = 5});
    assert_non_null(strstr(text, "DTLS ti...\n"));
    free(text);
    table_free(table);
    json_decref(identities);
}

static void widths_are_columns_not_bytes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t width;
    } cases[] = {
        {"", 0}, {"abc", 3}, {"K\u00e4se", 4}, {"\u4e2d\u6587", 4}, {"e\u0301", 1}, {"\xff", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(print_width(cases[i].text), cases[i].width);
    struct table *table = table_new(2);
    for (size_t i = 0; i < 4; i++) {
        struct cell cells[] = {{strdup(cases[i].text), TINT_NONE}, {strdup("|"), TINT_NONE}};
        assert_int_equal(table_add(table, cells), 0);
    }
    char *text = printed(table, &(struct print_style){0});
    assert_string_equal(text, "      |\nabc   |\nK\u00e4se  |\n\u4e2d\u6587  |\n");
    free(text);
    table_free(table);
}

/* Nobody sees them, and whoever pastes a table somewhere finds them everywhere. */
static void a_line_has_no_blanks_at_its_end(void **state) {
    (void)state;
    static const char *const rows[][3] = {{"a", "b", ""}, {"", "", ""}, {"", "long", "c"}};
    struct table *table = table_new(3);
    for (size_t i = 0; i < 3; i++) {
        struct cell cells[] = {{strdup(rows[i][0]), TINT_NONE},
                               {strdup(rows[i][1]), TINT_BAD},
                               {strdup(rows[i][2]), TINT_NONE}};
        assert_int_equal(table_add(table, cells), 0);
    }
    char *text = printed(table, &(struct print_style){0});
    assert_string_equal(text, "a  b\n\n   long  c\n");
    free(text);
    text = printed(table, &(struct print_style){.colour = true});
    assert_string_equal(text, "a  \033[31mb\033[0m\n\n   \033[31mlong\033[0m  c\n");
    free(text);
    table_free(table);
}

static void spans(void **state) {
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "0s"},       {119, "119s"},  {120, "2m"},           {7199, "119m"}, {7200, "2h"},
        {172799, "47h"}, {172800, "2d"}, {86400 * 400, "400d"}, {-3, "-3s"},    {-86400 * 3, "-3d"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = view_span(cases[i].seconds);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void times(void **state) {
    (void)state;
    static const struct {
        const char *from, *text;
    } cases[] = {
        {"2027-03-01T12:00:59Z", "2027-03-01 12:00Z"},
        {"9999-12-31T23:59:59Z", "never"},
        {"2027-03-01", "-"},
        {"\033[31m", "-"},
        {"", "-"},
        {NULL, "-"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = view_time(cases[i].from);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void what_is_next(void **state) {
    (void)state;
    static const struct {
        const char *identity, *text;
    } cases[] = {
        {"{}", "-"},
        {"{\"next_action\":\"enroll\"}", "enroll -"},
        {"{\"next_action\":\"enroll\",\"next_due\":\"2026-12-30T11:00:00Z\"}", "enroll now"},
        {"{\"next_action\":\"enroll\",\"next_due\":\"" NOW "\"}", "enroll now"},
        {"{\"next_action\":\"renew\",\"next_due\":\"2026-12-30T12:00:20Z\"}", "renew in 20s"},
        {"{\"next_action\":\"renew\",\"next_due\":\"2027-01-01T11:59:00Z\"}", "renew in 47h"},
        {"{\"next_action\":\"renew\",\"next_due\":\"2027-01-01T12:00:00Z\"}", "renew 2027-01-01"},
        {"{\"next_action\":\"renew\",\"next_due\":\"2026-12-30T12:02:00Z\",\"failures\":1}",
         "retry in 2m (try 2)"},
        {"{\"next_action\":\"repair\",\"next_due\":\"2026-12-30T13:00:00Z\",\"failures\":1}",
         "repair, look in 60m"},
        {"{\"next_action\":\"renew\",\"next_due\":\"" NOW "\",\"state\":\"working\"}", "under way"},
        {"{\"next_action\":7,\"next_due\":[],\"state\":{}}", "-"},
        {"{\"next_action\":\"\\u001b[2J\",\"next_due\":\"" NOW "\"}", "?[2J now"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *identity = parse(cases[i].identity);
        char *text = view_next(identity, now());
        assert_string_equal(text, cases[i].text);
        free(text);
        json_decref(identity);
    }
}

static void footers(void **state) {
    (void)state;
    static const struct {
        const char *identities, *text;
    } cases[] = {
        {"[]", "0 identities, none needs attention."},
        {"[{\"state\":\"valid\"}]", "1 identity, none needs attention."},
        {"[{\"state\":\"expired\",\"exit_code\":1}]", "1 identity, 1 needs attention."},
        {"[{\"exit_code\":5},{\"state\":\"working\"},{\"state\":\"pending\"},{\"state\":7},{}]",
         "5 identities, none needs attention."},
        {"[{\"exit_code\":4},{\"exit_code\":5,\"alert\":\"warning\"},{\"exit_code\":0}]",
         "3 identities, 2 need attention."},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *identities = parse(cases[i].identities);
        char *text = view_footer(identities);
        assert_string_equal(text, cases[i].text);
        free(text);
        json_decref(identities);
    }
}

static char *shown(const char *identity) {
    json_t *json = parse(identity);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(view_show(json, now(), out, &(struct print_style){0}), 0);
    fclose(out);
    json_decref(json);
    return text;
}

static void show_says_everything(void **state) {
    (void)state;
    char *text =
        shown("{\"id\":\"gw\",\"state\":\"failing\",\"urls\":[\"coaps://"
              "est.example\"],\"label\":\"factory\","
              "\"subject\":\"CN=gw\",\"sans\":[\"DNS:gw\",\"IP:192.0.2.1\"],\"key_type\":\"p256\","
              "\"directory\":\"/var/lib/estcd/identities/gw/current\",\"next_action\":\"renew\","
              "\"next_due\":\"2026-12-30T12:38:00Z\",\"next_why\":\"try 2 failed\","
              "\"last_action\":\"renew\",\"last_result\":\"timeout\",\"last_error\":\"no reply\","
              "\"last_attempt\":\"2026-12-30T11:59:00Z\",\"failures\":2,\"exit_code\":3,"
              "\"certificate\":{\"subject\":\"CN=gw\",\"issuer\":\"CN=CA\",\"serial\":\"0A1B\","
              "\"sans\":[\"DNS:gw\"],\"key_type\":\"p256\",\"sha256\":\"ABCD\","
              "\"not_before\":\"2026-10-01T12:00:00Z\",\"not_after\":\"2027-01-06T13:00:00Z\","
              "\"issued_at\":\"2026-10-01T12:00:01Z\",\"generation\":3},"
              "\"trust\":{\"origin\":\"file\",\"url\":\"coaps://est.example\","
              "\"received_at\":\"2026-10-01T12:00:00Z\",\"until\":\"2027-01-06T13:00:00Z\","
              "\"generation\":1,\"anchors\":[{\"subject\":\"CN=Root\",\"sha256\":\"EF01\","
              "\"not_after\":\"2027-01-06T13:00:00Z\"}]}}");
    assert_string_equal(text, "Identity      gw\n"
                              "State         failing\n"
                              "Next          retry 2026-12-30 12:38Z, in 38m (try 3): "
                              "try 2 failed\n"
                              "Last          renew: timeout, at 2026-12-30 11:59Z\n"
                              "Error         no reply\n"
                              "Failures      2 in a row\n"
                              "Server        coaps://est.example\n"
                              "Label         factory\n"
                              "Directory     /var/lib/estcd/identities/gw/current\n"
                              "Subject       CN=gw\n"
                              "Names         DNS:gw\n"
                              "              IP:192.0.2.1\n"
                              "Key           p256\n"
                              "Certificate   generation 3, issued 2026-10-01 12:00Z\n"
                              "  Subject     CN=gw\n"
                              "  Issuer      CN=CA\n"
                              "  Serial      0A1B\n"
                              "  Names       DNS:gw\n"
                              "  Key         p256\n"
                              "  SHA-256     ABCD\n"
                              "  Not before  2026-10-01 12:00Z\n"
                              "  Not after   2027-01-06 13:00Z (7d left)\n"
                              "Trust         since 2026-10-01 12:00Z, by the configured anchors\n"
                              "  From        coaps://est.example\n"
                              "  Until       2027-01-06 13:00Z (7d left)\n"
                              "  Anchor      CN=Root\n"
                              "  SHA-256     EF01\n"
                              "  Not after   2027-01-06 13:00Z (7d left)\n");
    free(text);
}

static void show_leaves_out_what_is_not_there(void **state) {
    (void)state;
    char *text = shown("{\"id\":\"gw\",\"state\":\"new\",\"last_result\":\"none\",\"sans\":[],"
                       "\"next_action\":\"enroll\",\"next_due\":\"" NOW "\",\"next_why\":\"new\","
                       "\"failures\":0,\"subject\":\"\"}");
    assert_string_equal(text, "Identity     gw\n"
                              "State        new\n"
                              "Next         enroll 2026-12-30 12:00Z, now: new\n"
                              "Certificate  none yet\n"
                              "Trust        what the configuration names\n");
    free(text);
    text = shown("{\"state\":\"working\",\"next_action\":\"enroll\",\"next_due\":\"" NOW "\","
                 "\"next_why\":\"new\"}");
    assert_non_null(strstr(text, "Next         under way\n"));
    free(text);
    text = shown("{\"state\":\"pending\",\"next_action\":\"poll\",\"next_why\":\"not decided\","
                 "\"next_due\":\"2026-12-30T12:05:00Z\","
                 "\"pending_since\":\"2026-12-30T07:00:00Z\"}");
    assert_non_null(strstr(text, "State        pending\n"
                                 "Pending      since 2026-12-30 07:00Z (5h ago)\n"
                                 "Next         poll 2026-12-30 12:05Z, in 5m (Max-Age): "
                                 "not decided\n"));
    free(text);
    text = shown("{\"certificate\":{\"not_after\":\"2026-12-20T12:00:00Z\"}}");
    assert_non_null(strstr(text, "Not after  2026-12-20 12:00Z (10d ago)\n"));
    free(text);
}

/* Nothing that a daemon, or who talks through one, says reaches a terminal as a command. */
static void texts_are_harmless(void **state) {
    (void)state;
    char *text = shown("{\"id\":\"\\u001b]0;x\\u0007\",\"state\":\"a\\u009b31m\",\"sans\":[\"\\r\","
                       "7],\"last_result\":\"b\\u202e\",\"last_error\":\"c\\nd\","
                       "\"certificate\":{\"subject\":\"\\u007f\",\"generation\":\"\\b\"}}");
    for (const char *at = text; *at; at++)
        assert_true(*at == '\n' || ((unsigned char)*at >= ' ' && *at != 0x7f));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_null(strstr(text, "\u202e"));
    assert_non_null(strstr(text, "c?d\n"));
    free(text);
}

int main(void) {
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_is_a_table),
        cmocka_unit_test(list_without_legend_has_no_headings),
        cmocka_unit_test(a_terminal_gets_colour_and_no_line_too_long),
        cmocka_unit_test(widths_are_columns_not_bytes),
        cmocka_unit_test(a_line_has_no_blanks_at_its_end),
        cmocka_unit_test(spans),
        cmocka_unit_test(times),
        cmocka_unit_test(what_is_next),
        cmocka_unit_test(footers),
        cmocka_unit_test(show_says_everything),
        cmocka_unit_test(show_leaves_out_what_is_not_there),
        cmocka_unit_test(texts_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
