/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration reader: what it refuses, in which words, and that no text does it any harm. */
#include "conf_table.h"

static void values_of_another_type_say_what_is_expected(void **state) {
    static const struct {
        const char *text, *key, *expected;
    } cases[] = {
        {"string = 7;", "string", "a string in double quotes"},
        {"strings = [1, 2];", "strings", "a list of strings: [ \"...\", \"...\" ]"},
        {"strings = { a = 1; };", "strings", "a list of strings"},
        {"yes = \"true\";", "yes", "true or false"},
        {"yes = 1;", "yes", "true or false"},
        {"number = \"4\";", "number", "a whole number without quotes, like 4"},
        {"number = 4.0;", "number", "a whole number"},
        {"duration = 300;", "duration", "a duration like \"90s\", \"15m\""},
        {"size = 4096;", "size", "a size like \"512\", \"16K\""},
        {"share = 1;", "share", "a share like \"66%\" or 0.66"},
        {"box = 1;", "box", "a group: { ... }"},
        {"things = { };", "things", "a list of groups: ( { ... }, { ... } )"},
        {"things = (1);", "things", "expected a group { ... } as element 1"},
    };
    struct conf_place *c = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(c, cases[i].text, c->path, ":1: ", cases[i].key, cases[i].expected);
}

static void values_out_of_range_say_the_limits(void **state) {
    static const struct {
        const char *text, *key, *limits;
    } cases[] = {
        {"number = 0;", "number: 0 is out of range", "from 1 to 2147483647"},
        {"number = -1;", "number: -1 is out of range", "from 1 to 2147483647"},
        {"number = 4294967297L;", "number: 4294967297 is out of range", "2147483647"},
        {"number = 99999999999999999999L;", "number: ", "is out of range"},
        {"duration = \"9s\";", "duration: 9s is out of range", "from 10 s to 1 h"},
        {"duration = \"2h\";", "duration: 2h is out of range", "from 10 s to 1 h"},
        {"duration = \"99999999999999999999s\";", "duration: 9999", "from 10 s to 1 h"},
        {"size = \"2M\";", "size: 2M is out of range", "from 0 to 1048576"},
        {"share = \"9%\";", "share: 9% is out of range", "from 10% to 95.5%"},
        {"share = \"100%\";", "share: 100% is out of range", "from 10% to 95.5%"},
        {"share = \"-5%\";", "share: -5% is not a share", "from 10% to 95.5%"},
        {"share = 0.96;", "share: 0.96 is out of range", "from 10% to 95.5%"},
        {"share = -0.5;", "share: -0.5 is out of range", "from 10% to 95.5%"},
        {"share = 1e300;", "share: 1e+300 is out of range", "from 10% to 95.5%"},
        {"duration = \"\";", "duration: \"\" is not a duration", "from 10 s to 1 h"},
        {"choice = \"yellow\";", "choice: \"yellow\" is none of", "red, green, blue"},
        {"string = \"a\";", "string", "shorter than 2 bytes"},
        {"string = \"123456789\";", "string", "longer than 8 bytes"},
        {"path = \"\";", "path", "is empty"},
        {"box = { file = \"credential:\"; };", "file: ", "write \"credential:NAME\""},
        {"box = { file = \"credential:a/b\"; };", "file: ", "plain file name"},
        {"box = { file = \"credential:..\"; };", "file: ", "plain file name"},
        {"box = { file = 1; };", "file: ", "a path, or \"credential:NAME\""},
        {"strings = [\"a\", \"\"];", "strings", "is empty"},
    };
    struct conf_place *c = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(c, cases[i].text, c->path, ":1: ", cases[i].key, cases[i].limits);
}

/* libconfig 1.5 would read the first as 1 and the second as negative. */
static void numbers_that_libconfig_would_cut_are_refused(void **state) {
    static const char *const texts[] = {"4294967297", "2147483648", "0xFFFFFFFF", "-4294967295",
                                        "99999999999999999999999"};
    struct conf_place *c = *state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "\nnumber = %s;", texts[i]);
        assert_refused(c, text, c->path, ":2: number: ", "2147483647");
    }
    assert_refused(c, "strings = [\"a\"]; things = ( { name = \"x\";\nweight = 2147483648; } );",
                   c->path, ":2: weight: ", "2147483647");
    struct all all = read_text(c, "number = 0x7fffffff; share = 0.66; string = \"42949672\";"
                                  "# 4294967297\n/* 4294967297 */ // 4294967297");
    assert_no_errors(&c->errors);
    assert_int_equal(all.number, 2147483647);
    assert_int_equal(all.share, 660);
    conf_clear(keys, &all);
}

static void unknown_keys_name_the_nearest(void **state) {
    struct conf_place *c = *state;
    assert_refused(c, "\n\nshara = 0.5;", c->path,
                   ":3: ", "unknown key 'shara': did you mean 'share'?");
    assert_refused(c, "box = { color = \"x\"; };", "unknown key 'color': did you mean 'colour'?");
    assert_refused(c, "things = ( { name = \"x\";\nwait = 1; } );", ":2: ", "unknown key 'wait'");
    assert_refused(c, "entirely = 1;", "unknown key 'entirely': remove it");
}

static void a_missing_key_is_named_with_its_group(void **state) {
    struct conf_place *c = *state;
    assert_refused(c, "things = (\n { weight = 1; } );", ":2: ", "'name' is missing",
                   "name = a string");
}

static void every_error_is_shown_in_one_run(void **state) {
    struct conf_place *c = *state;
    struct all all = read_text(c, "number = 0;\nshare = \"x\";\nnumbr = 1;\n"
                                  "things = ( {}, { name = 1; } );");
    conf_clear(keys, &all);
    assert_int_equal(errors_count(&c->errors), 5);
    assert_says(&c->errors, ":1: ", "number");
    assert_says(&c->errors, ":2: ", "share");
    assert_says(&c->errors, ":3: ", "numbr");
    assert_says(&c->errors, ":4: ", "name");
}

static void a_syntax_error_names_its_line(void **state) {
    struct conf_place *c = *state;
    assert_refused(c, "number = 1;\nstring = \"ab\"\nyes = = true;\n", c->path,
                   ":3: ", "syntax error", "missing ';'");
    assert_refused(c, "\nstring = \"never closed\n", c->path, ":2: ", "never closed");
    assert_refused(c, "\n\"string\" = 1;", c->path, ":2: ", "where none can stand");
    assert_refused(c, "number 1;\n", c->path, ":1: ", "syntax error");
    assert_refused(c, "number /* = */ \"x\";", c->path, ":1: ", "missing '='");
    assert_refused(c, "string = 1 \"x\";", c->path, ":1: ", "where none can stand");
    assert_refused(c, "number = 1; number = 2;", c->path, ":1: ", "duplicate");
    assert_refused(c, "number = 1;\n/* never closed\nstring = \"ab\";", c->path, ":2: ", "*/");
}

static void hostile_texts_end_before_the_parser(void **state) {
    struct conf_place *c = *state;
    enum { DEEP = 1 << 20 };
    char *deep = malloc(DEEP + 1);
    static const char brackets[] = "({[";
    for (int b = 0; b < 3; b++) {
        memset(deep, brackets[b], DEEP);
        deep[DEEP] = '\0';
        memcpy(deep, "x=\n", 3);
        assert_refused(c, deep, c->path, ":2: ", "nested deeper");
    }
    free(deep);
    assert_refused(c, "@include \"/etc/passwd\"\n", c->path, ":1: '@include'");
    assert_refused(c, "box = {\n  @include \"/dev/zero\"\n};", c->path, ":2: '@include'");

    struct all all = read_bytes(c, "number = 1;\0", 12);
    conf_clear(keys, &all);
    assert_says(&c->errors, ":1: ", "NUL");
}

static void brackets_in_strings_and_comments_do_not_nest(void **state) {
    struct conf_place *c = *state;
    char text[4096] = "";
    for (int i = 0; i < 50; i++)
        strcat(text, "# ((((\n// {{{{\n/* [[[[\n */ /**/");
    strcat(text, "strings = [\"(((((\", \"{{\\\"{{{\", \"@x\\\\\", \"[#//\"]; number = 3;");
    struct all all = read_text(c, text);
    assert_no_errors(&c->errors);
    assert_int_equal(all.number, 3);
    conf_clear(keys, &all);
}

static void errors_are_clean_and_bounded(void **state) {
    struct conf_place *c = *state;
    static char text[1 << 16];
    strcpy(text, "choice = \"");
    memset(text + 10, 'x', 60000);
    strcpy(text + 60010, "\";");
    struct all all = read_text(c, text);
    conf_clear(keys, &all);
    assert_int_equal(errors_count(&c->errors), 1);
    assert_true(strlen(c->errors.lines[0]) < 4096 + 400);

    all = read_text(c, "choice = \"\x1b[31m\xff\";");
    conf_clear(keys, &all);
    assert_null(strchr(c->errors.lines[0], '\x1b'));
    assert_null(strchr(c->errors.lines[0], '\xff'));
}

static void there_is_an_end_to_errors(void **state) {
    struct conf_place *c = *state;
    char text[1 << 14] = "";
    for (int i = 0; i < 500; i++)
        sprintf(text + strlen(text), "unknown%d = 1;\n", i);
    struct all all = read_text(c, text);
    conf_clear(keys, &all);
    assert_int_equal(errors_count(&c->errors), 201);
    assert_string_equal(c->errors.lines[200], "and more errors: mend these first");
}

static void files_that_cannot_be_read_are_errors(void **state) {
    struct conf_place *c = *state;
    struct all all = {0};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/nowhere.conf", c->place->path);
    assert_int_equal(conf_read_file(path, keys, &all, &c->errors), 0);
    assert_says(&c->errors, path, "no such file");
    assert_int_equal(mkfifoat(c->place->fd, "fifo.conf", 0600), 0);
    snprintf(path, sizeof(path), "%s/fifo.conf", c->place->path);
    assert_int_equal(conf_read_file(path, keys, &all, &c->errors), 0);
    assert_says(&c->errors, path);
    assert_int_equal(conf_read_file(c->place->path, keys, &all, &c->errors), 0);
    assert_int_equal(errors_count(&c->errors), 3);

    /* One byte too many, without writing sixteen million. */
    int fd = openat(c->place->fd, "big.conf", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (16 << 20) + 1), 0);
    close(fd);
    snprintf(path, sizeof(path), "%s/big.conf", c->place->path);
    assert_int_equal(conf_read_file(path, keys, &all, &c->errors), 0);
    assert_says(&c->errors, path, "16777216");
}

/* --- everything else that a file can hold --- */

static const char sample[] =
    "string = \"text\"; strings = [\"a\", \"b\"]; /* c */ yes = false;\n"
    "choice = \"blue\"; number = 12; duration = \"1h\"; share = 0.5; // d\n"
    "box: { colour = \"gr\\\"ey\"; lid = true; }\n"
    "things = ( { name = \"one\"; }, { name = \"two\"; weight = -5; } );\n";

static void every_truncation_ends_well(void **state) {
    struct conf_place *c = *state;
    for (size_t len = 0; len < sizeof(sample); len++) {
        struct all all = read_bytes(c, sample, len);
        conf_clear(keys, &all);
    }
}

static void every_changed_byte_ends_well(void **state) {
    struct conf_place *c = *state;
    static const char bytes[] = "\0\"({[)}];=*/#@9\\\xff\n";
    char text[sizeof(sample)];
    for (size_t at = 0; at < sizeof(sample) - 1; at++) {
        memcpy(text, sample, sizeof(sample));
        text[at] = bytes[at % (sizeof(bytes) - 1)];
        struct all all = read_bytes(c, text, sizeof(sample) - 1);
        conf_clear(keys, &all);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(values_of_another_type_say_what_is_expected),
        WITH_FILES(values_out_of_range_say_the_limits),
        WITH_FILES(numbers_that_libconfig_would_cut_are_refused),
        WITH_FILES(unknown_keys_name_the_nearest),
        WITH_FILES(a_missing_key_is_named_with_its_group),
        WITH_FILES(every_error_is_shown_in_one_run),
        WITH_FILES(a_syntax_error_names_its_line),
        WITH_FILES(hostile_texts_end_before_the_parser),
        WITH_FILES(brackets_in_strings_and_comments_do_not_nest),
        WITH_FILES(errors_are_clean_and_bounded),
        WITH_FILES(there_is_an_end_to_errors),
        WITH_FILES(files_that_cannot_be_read_are_errors),
        WITH_FILES(every_truncation_ends_well),
        WITH_FILES(every_changed_byte_ends_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
