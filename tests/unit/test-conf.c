/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration reader, with a table of every type and real files. */
#include "conf_file.h"

#include <errno.h>

/* --- a table of every type --- */

struct box {
    char *colour, *file;
    int lid; /* enum conf_bool */
};

struct thing {
    struct conf_origin origin;
    char *name;
    int64_t weight;
};

struct all {
    char *string, *path;
    char **strings;
    int yes, choice;
    int64_t number, duration, size, share;
    struct box box;
    struct conf_list things;
};

static const char *const choices[] = {"red", "green", "blue", NULL};

static const struct conf_key box_keys[] = {
    {.name = "colour", .type = CONF_STRING, .offset = offsetof(struct box, colour)},
    {.name = "file", .type = CONF_PATH, .offset = offsetof(struct box, file)},
    {.name = "lid", .type = CONF_BOOL, .offset = offsetof(struct box, lid)},
    {.name = NULL},
};

static const struct conf_key thing_keys[] = {
    {.name = "name",
     .type = CONF_STRING,
     .offset = offsetof(struct thing, name),
     .required = true,
     .min = 1},
    {.name = "weight",
     .type = CONF_INT,
     .offset = offsetof(struct thing, weight),
     .min = -5,
     .max = 100,
     .fallback = "7"},
    {.name = NULL},
};

#define AT(member) offsetof(struct all, member)
static const struct conf_key keys[] = {
    {.name = "string", .type = CONF_STRING, .offset = AT(string), .min = 2, .max = 8},
    {.name = "path", .type = CONF_PATH, .offset = AT(path), .min = 1, .max = 4000},
    {.name = "strings", .type = CONF_STRINGS, .offset = AT(strings), .min = 1, .max = 8},
    {.name = "yes", .type = CONF_BOOL, .offset = AT(yes), .fallback = "true"},
    {.name = "choice",
     .type = CONF_CHOICE,
     .offset = AT(choice),
     .min = 1,
     .choices = choices,
     .fallback = "green"},
    {.name = "number", .type = CONF_INT, .offset = AT(number), .min = 1, .max = 2147483647},
    {.name = "duration",
     .type = CONF_DURATION,
     .offset = AT(duration),
     .min = 10,
     .max = 3600,
     .fallback = "5m"},
    {.name = "size", .type = CONF_SIZE, .offset = AT(size), .max = 1 << 20, .fallback = "16K"},
    {.name = "share", .type = CONF_PERCENT, .offset = AT(share), .min = 100, .max = 955},
    {.name = "box", .type = CONF_GROUP, .offset = AT(box), .group = box_keys},
    {.name = "things",
     .type = CONF_LIST,
     .offset = AT(things),
     .group = thing_keys,
     .item_size = sizeof(struct thing)},
    {.name = NULL},
};
#undef AT

static struct all read_bytes(struct conf_place *c, const void *text, size_t len) {
    struct all all = {0};
    conf_errors_clear(&c->errors);
    conf_write_bytes(c, "a.conf", text, len);
    assert_int_equal(conf_defaults(keys, &all), 0);
    assert_int_equal(conf_read_file(c->path, keys, &all, &c->errors), 0);
    return all;
}

static struct all read_text(struct conf_place *c, const char *text) {
    return read_bytes(c, text, strlen(text));
}

/* Exactly one error, with these parts. */
#define assert_refused(c, text, ...)                     \
    do {                                                 \
        struct all all_ = read_text(c, text);            \
        conf_clear(keys, &all_);                         \
        assert_says(&(c)->errors, __VA_ARGS__);          \
        assert_int_equal(errors_count(&(c)->errors), 1); \
    } while (0)

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

/* --- what is refused --- */

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
        WITH_FILES(every_type_is_read),
        WITH_FILES(an_empty_file_leaves_the_defaults),
        WITH_FILES(strings_in_a_row_are_one),
        WITH_FILES(one_string_makes_a_list_of_one),
        WITH_FILES(paths_are_relative_to_their_file),
        WITH_FILES(paths_are_absolute_even_in_a_file_named_from_here),
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
        WITH_FILES(a_folder_is_read_in_order_of_names),
        WITH_FILES(a_missing_folder_is_no_error_a_file_in_its_place_is),
        cmocka_unit_test(texts_of_numbers),
        cmocka_unit_test(durations_as_people_say_them),
        cmocka_unit_test(the_nearest_name),
        WITH_FILES(every_truncation_ends_well),
        WITH_FILES(every_changed_byte_ends_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
