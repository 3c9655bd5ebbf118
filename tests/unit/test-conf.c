/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration reader: what it reads, from files and folders. */
#include "conf_table.h"

#include <errno.h>

#include "common/confprint.h"

/* --- reading --- */

static void every_type_is_read(void **state) {
    struct conf_place *c = *state;
    struct all all =
        read_text(c, "# a comment (((((\n"
                     "string = \"text\"; path = \"/etc/x\"; strings = [\"a\", \"b\"];\n"
                     "yes = false; choice = \"blue\"; number = 2147483647; duration = \"1h\";\n"
                     "size = \"1M\"; share = \"95.5%\";\n"
                     "box: { colour = \"grey\"; lid = true; file = \"sub/f.pem\"; }\n"
                     "things = ( { name = \"one\"; }, { name = \"two\"; weight = -5; } );\n");
    assert_no_errors(&c->errors);
    assert_false(conf_errors_any(&c->errors));
    assert_string_equal(all.string, "text");
    assert_string_equal(all.path, "/etc/x");
    assert_string_equal(all.strings[1], "b");
    assert_null(all.strings[2]);
    assert_int_equal(all.yes, CONF_FALSE);
    assert_int_equal(all.choice, 3);
    assert_int_equal(all.number, 2147483647);
    assert_int_equal(all.duration, 3600);
    assert_int_equal(all.size, 1 << 20);
    assert_int_equal(all.share, 955);
    assert_string_equal(all.box.colour, "grey");
    assert_int_equal(all.box.lid, CONF_TRUE);
    assert_int_equal(all.things.n, 2);
    const struct thing *things = all.things.items;
    assert_int_equal(things[0].weight, 7);
    assert_int_equal(things[1].weight, -5);
    assert_int_equal(things[1].origin.line, 6);
    assert_string_equal(things[1].origin.file, c->path);
    conf_clear(keys, &all);
    assert_null(all.things.items);
    assert_null(all.box.colour);
}

static void an_empty_file_leaves_the_defaults(void **state) {
    struct conf_place *c = *state;
    static const char *const texts[] = {"", "\n", "/* nothing */", "# nothing"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct all all = read_text(c, texts[i]);
        assert_no_errors(&c->errors);
        assert_null(all.string);
        assert_int_equal(all.yes, CONF_TRUE);
        assert_int_equal(all.choice, 2);
        assert_int_equal(all.duration, 300);
        assert_int_equal(all.size, 16384);
        assert_int_equal(all.box.lid, CONF_UNSAID);
        conf_clear(keys, &all);
    }
}

static void strings_in_a_row_are_one(void **state) {
    struct conf_place *c = *state;
    struct all all = read_text(c, "string = \"a\" // and\n\"b\" /* and */\"c\"\n;"
                                  "strings : (\"d\" \"e\", # f\n\"g\");");
    assert_no_errors(&c->errors);
    assert_string_equal(all.string, "abc");
    assert_string_equal(all.strings[0], "de");
    assert_string_equal(all.strings[1], "g");
    conf_clear(keys, &all);
}

static void one_string_makes_a_list_of_one(void **state) {
    struct all all = read_text(*state, "strings = \"a\";");
    assert_string_equal(all.strings[0], "a");
    assert_null(all.strings[1]);
    conf_clear(keys, &all);
}

static void paths_are_relative_to_their_file(void **state) {
    struct conf_place *c = *state;
    struct all all = read_text(c, "path = \"keys/a.pem\"; box = { file = \"../b.pem\"; };");
    char expected[PATH_MAX + 32];
    snprintf(expected, sizeof(expected), "%s/keys/a.pem", c->place->path);
    assert_string_equal(all.path, expected);
    snprintf(expected, sizeof(expected), "%s/../b.pem", c->place->path);
    assert_string_equal(all.box.file, expected);
    conf_clear(keys, &all);
}

static void paths_are_absolute_even_in_a_file_named_from_here(void **state) {
    struct conf_place *c = *state;
    char *here = getcwd(NULL, 0), expected[PATH_MAX + 32];
    struct all all = {0};
    conf_write(c, "a.conf", "path = \"a.pem\";");
    assert_int_equal(chdir(c->place->path), 0);
    assert_int_equal(conf_read_file("a.conf", keys, &all, &c->errors), 0);
    assert_int_equal(chdir(here), 0);
    free(here);
    snprintf(expected, sizeof(expected), "%s/a.pem", c->place->path);
    assert_string_equal(all.path, expected);
    conf_clear(keys, &all);
}

static void files_may_be_what_systemd_passes(void **state) {
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x.service", 1);
    struct all all = read_text(*state, "box = { file = \"credential:birth.key\"; };");
    assert_string_equal(all.box.file, "/run/credentials/x.service/birth.key");
    conf_clear(keys, &all);
    unsetenv("CREDENTIALS_DIRECTORY");
    /* Who was not started by the unit reads the same text without an error. */
    all = read_text(*state, "box = { file = \"credential:birth.key\"; };");
    assert_string_equal(all.box.file, "credential:birth.key");
    conf_clear(keys, &all);
}

static void what_is_written_or_made_is_no_credential(void **state) {
    struct conf_place *c = *state;
    struct all all = read_text(c, "path = \"credential:x\";");
    char expected[PATH_MAX + 32];
    snprintf(expected, sizeof(expected), "%s/credential:x", c->place->path);
    assert_string_equal(all.path, expected);
    conf_clear(keys, &all);
}

/* --- folders --- */

static void a_folder_is_read_in_order_of_names(void **state) {
    struct conf_place *c = *state;
    struct all all = {0};
    conf_write(c, "20.conf", "number = 20; things = ( { name = \"b\"; } );");
    conf_write(c, "10.conf", "number = 10; things = ( { name = \"a\"; } ); yes = true;");
    conf_write(c, ".hidden.conf", "((((");
    conf_write(c, "notes.txt", "((((");
    conf_write(c, ".conf", "((((");
    assert_int_equal(conf_read_dir(c->place->path, keys, &all, &c->errors), 0);
    assert_no_errors(&c->errors);
    assert_int_equal(all.number, 20);
    assert_int_equal(all.yes, CONF_TRUE);
    assert_int_equal(all.things.n, 2);
    const struct thing *things = all.things.items;
    assert_string_equal(things[0].name, "a");
    assert_string_equal(things[1].name, "b");
    conf_clear(keys, &all);
}

static void a_missing_folder_is_no_error_a_file_in_its_place_is(void **state) {
    struct conf_place *c = *state;
    struct all all = {0};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/conf.d", c->place->path);
    assert_int_equal(conf_read_dir(path, keys, &all, &c->errors), 0);
    assert_no_errors(&c->errors);
    conf_write(c, "conf.d", "");
    assert_int_equal(conf_read_dir(path, keys, &all, &c->errors), 0);
    assert_says(&c->errors, path, "Not a directory");
}

/* --- texts by themselves --- */

static void texts_of_numbers(void **state) {
    (void)state;
    static const struct {
        int (*parse)(const char *text, int64_t *out);
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        {conf_parse_duration, "90s", 0, 90},
        {conf_parse_duration, "15m", 0, 900},
        {conf_parse_duration, "12h", 0, 43200},
        {conf_parse_duration, "30d", 0, 2592000},
        {conf_parse_duration, "2w", 0, 1209600},
        {conf_parse_duration, "1y", 0, 31536000},
        {conf_parse_duration, "0s", 0, 0},
        {conf_parse_duration, "90", -EINVAL, 0},
        {conf_parse_duration, "-1s", -EINVAL, 0},
        {conf_parse_duration, "+1s", -EINVAL, 0},
        {conf_parse_duration, " 1s", -EINVAL, 0},
        {conf_parse_duration, "1 s", -EINVAL, 0},
        {conf_parse_duration, "1.5h", -EINVAL, 0},
        {conf_parse_duration, "1S", -EINVAL, 0},
        {conf_parse_duration, "s", -EINVAL, 0},
        {conf_parse_duration, "", -EINVAL, 0},
        {conf_parse_duration, "9223372036854775807s", 0, INT64_MAX},
        {conf_parse_duration, "9223372036854775808s", -ERANGE, 0},
        {conf_parse_duration, "9223372036854775807y", -ERANGE, 0},
        {conf_parse_size, "512", 0, 512},
        {conf_parse_size, "16K", 0, 16384},
        {conf_parse_size, "4M", 0, 4194304},
        {conf_parse_size, "1G", 0, 1073741824},
        {conf_parse_size, "16k", -EINVAL, 0},
        {conf_parse_size, "16KB", -EINVAL, 0},
        {conf_parse_size, "9999999999999G", -ERANGE, 0},
        {conf_parse_percent, "66%", 0, 660},
        {conf_parse_percent, "66.5%", 0, 665},
        {conf_parse_percent, "66.55%", -EINVAL, 0},
        {conf_parse_percent, "66.%", -EINVAL, 0},
        {conf_parse_percent, "66", -EINVAL, 0},
        {conf_parse_percent, "%", -EINVAL, 0},
        {conf_parse_percent, "9223372036854775807%", -ERANGE, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 4711;
        int rc = cases[i].parse(cases[i].text, &value);
        if (rc != cases[i].rc || value != (rc ? 4711 : cases[i].value))
            fail_msg("'%s': %d, %lld", cases[i].text, rc, (long long)value);
    }
}

static void durations_as_people_say_them(void **state) {
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "0 s"},          {45, "45 s"},           {60, "1 min"},      {3600, "1 h"},
        {7500, "2 h 5 min"}, {5270400, "61 d"},      {90061, "1 d 1 h"}, {31536000, "1 y"},
        {-3, "0 s"},         {34128000, "1 y 30 d"}, {3601, "1 h"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = conf_duration_text(cases[i].seconds);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
    free(conf_duration_text(INT64_MAX));
    free(conf_duration_text(INT64_MIN));
}

static void the_nearest_name(void **state) {
    (void)state;
    static const char *const known[] = {"renew_at", "trust", "id", "url", NULL};
    assert_string_equal(conf_nearest("renew-at", known), "renew_at");
    assert_string_equal(conf_nearest("renewat", known), "renew_at");
    assert_string_equal(conf_nearest("trusts", known), "trust");
    assert_string_equal(conf_nearest("trsut", known), "trust");
    assert_string_equal(conf_nearest("uri", known), "url");
    assert_null(conf_nearest("ab", known));
    assert_null(conf_nearest("renewals", known));
    assert_null(conf_nearest("", known));
}

/* --- and printed ------------------------------------------------------------------------------ */

static void values_print_as_a_file_says_them(void **state) {
    struct conf_place *c = *state;
    static const char *const printed[][2] = {
        {"string", "\"a\\\"\\\\\\x01b\""},
        {"path", ""},
        {"strings", "[ \"a\", \"b\" ]"},
        {"yes", "false"},
        {"choice", "\"blue\""},
        {"number", "7"},
        {"duration", "\"90s\""},
        {"size", "\"512K\""},
        {"share", "\"95.5%\""},
        {"things", "( { name = \"one\"; weight = 7; }, { name = \"two\"; weight = -5; } )"},
    };
    struct all all =
        read_text(c, "string = \"a\\\"\\\\\\x01b\"; strings = [\"a\", \"b\"];\n"
                     "yes = false; choice = \"blue\"; number = 7; duration = \"90s\";\n"
                     "size = \"512K\"; share = \"95.5%\";\n"
                     "things = ( { name = \"one\"; }, { name = \"two\"; weight = -5; } );\n");
    assert_no_errors(&c->errors);
    for (size_t i = 0; i < sizeof(printed) / sizeof(printed[0]); i++) {
        const struct conf_key *key = keys;
        while (strcmp(key->name, printed[i][0]) != 0)
            key++;
        struct estc_buf text = {0};
        assert_int_equal(conf_value_print(key, &all, &text), 0);
        assert_int_equal(text.len, strlen(printed[i][1]));
        assert_memory_equal(text.len > 0 ? (const char *)text.data : "", printed[i][1], text.len);
        estc_buf_clear(&text);
    }
    conf_clear(keys, &all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(every_type_is_read),
        WITH_FILES(values_print_as_a_file_says_them),
        WITH_FILES(an_empty_file_leaves_the_defaults),
        WITH_FILES(strings_in_a_row_are_one),
        WITH_FILES(one_string_makes_a_list_of_one),
        WITH_FILES(paths_are_relative_to_their_file),
        WITH_FILES(files_may_be_what_systemd_passes),
        WITH_FILES(what_is_written_or_made_is_no_credential),
        WITH_FILES(paths_are_absolute_even_in_a_file_named_from_here),
        WITH_FILES(a_folder_is_read_in_order_of_names),
        WITH_FILES(a_missing_folder_is_no_error_a_file_in_its_place_is),
        cmocka_unit_test(texts_of_numbers),
        cmocka_unit_test(durations_as_people_say_them),
        cmocka_unit_test(the_nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
