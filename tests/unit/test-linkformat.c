/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/error.h>

#include "base/cleanup.h"
#include "est/linkformat.h"

/* Number of links, or ESTC_E_MALFORMED; the first one in *first. */
static int count(const char *text, size_t len, struct linkformat_link *first) {
    struct linkformat_reader reader = linkformat_read(text, len);
    struct linkformat_link link;
    int n = 0, rc;
    while ((rc = linkformat_next(&reader, &link)) == 1)
        if (n++ == 0 && first)
            *first = link;
    assert_int_equal(linkformat_next(&reader, &link), 0); /* nothing follows an end or a fault */
    return rc ? rc : n;
}

static void assert_span(struct span span, const char *text) {
    if (!span_is(span, text))
        fail_msg("'%.*s' is not '%s'", (int)span.len, span.at ? span.at : "", text);
}

static void u08_rfc_example(void **state) {
    (void)state;
    static const char *const ops[] = {"crts", "sen", "sren", "att", "skg", "skc"};
    static const char *const cts[] = {"281 287", "281 287", "281 287", "285", "62", "62"};
    static const struct {
        const char *file, *base;
    } rows[] = {
        {"9148-4.1-discovery.link-format.txt", "/est"},
        {"9148-4.1-discovery-port.link-format.txt", "coaps://[2001:db8:3::123]:61617/est"},
    };
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_buf_clear) struct estc_buf text = support_vector(rows[i].file);
        struct linkformat_reader reader = linkformat_read(text.data, text.len);
        struct linkformat_link link;
        for (size_t k = 0; k < 6; k++) {
            char target[128], type[32];
            assert_int_equal(linkformat_next(&reader, &link), 1);
            snprintf(target, sizeof(target), "%s/%s", rows[i].base, ops[k]);
            snprintf(type, sizeof(type), "ace.est.%s", ops[k]);
            assert_span(link.target, target);
            assert_span(linkformat_param(&link, "rt"), type);
            assert_span(linkformat_param(&link, "ct"), cts[k]);
        }
        assert_int_equal(linkformat_next(&reader, &link), 0);
    }
}

static void u10_what_others_write(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int n;
        const char *target, *rt, *ct;
    } rows[] = {
        {"", 0, NULL, NULL, NULL},
        {" \r\n\t", 0, NULL, NULL, NULL},
        {"<>", 1, "", NULL, NULL},
        {"</a>", 1, "/a", NULL, NULL},
        {"</a>;rt=x;ct=40", 1, "/a", "x", "40"},
        {"</a>;obs;rt=\"x y\"", 1, "/a", "x y", NULL},
        {"</a>;rt", 1, "/a", "", NULL},
        {"</a>;rt=", 1, "/a", "", NULL},
        {"</a>;rt=\"\"", 1, "/a", "", NULL},
        {"</a>;title=\"a,b;c<d>\\\"\\\\\";rt=x", 1, "/a", "x", NULL},
        {"</a>;rt=x;rt=y", 1, "/a", "x", NULL}, /* the first counts */
        {"</a>;xrt=y;rt=x", 1, "/a", "x", NULL},
        {"<coap://h/a,b;c>;rt=x,</b>", 2, "coap://h/a,b;c", "x", NULL},
        {" </a> ; rt = \"x\" ,\r\n </b> ", 2, "/a", "x", NULL},
        {"</a>;title*=UTF-8'en'%e2%82%ac;rt=x", 1, "/a", "x", NULL},
        {"</a>;k=a=b;rt=x", 1, "/a", "x", NULL},
        {"</\xc3\xa4>;title=\"\xe2\x82\xac\"", 1, "/\xc3\xa4", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct linkformat_link first;
        assert_int_equal(count(rows[i].text, strlen(rows[i].text), &first), rows[i].n);
        if (rows[i].n == 0)
            continue;
        assert_span(first.target, rows[i].target);
        struct span rt = linkformat_param(&first, "rt"), ct = linkformat_param(&first, "ct");
        if (rows[i].rt)
            assert_span(rt, rows[i].rt);
        else
            assert_null(rt.at);
        if (rows[i].ct)
            assert_span(ct, rows[i].ct);
        else
            assert_null(ct.at);
    }
}

static void broken_texts_are_refused(void **state) {
    (void)state;
    static const char *const rows[] = {
        "x",
        "<",
        "<a",
        "a>",
        "<a>x",
        "<a><b>",
        "<a>,",
        ",<a>",
        "<a>,,<b>",
        "<a>;",
        "<a>;;rt=x",
        "<a>;=x",
        "<a>;rt=\"x",
        "<a>;rt=\"x\\",
        "<a>;rt=\"x\\\"",
        "<a>;rt=x\"y\"",
        "<a>;rt=<x>",
        "<a<b>>",
        "<a\nb>",
        "<a>;rt=\"x\ny\"",
        "<a>;rt=\"\\\n\"",
        "<a>;r\x01t=x",
        "<a>;rt=x\x7f",
        "<a>;\"rt\"=x",
        "{\"links\":[]}",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (count(rows[i], strlen(rows[i]), NULL) != ESTC_E_MALFORMED)
            fail_msg("'%s' was taken", rows[i]);
    assert_int_equal(count("<a>\0,<b>", 8, NULL), ESTC_E_MALFORMED);
    assert_int_equal(count("<a\0>", 4, NULL), ESTC_E_MALFORMED);
}

static void words_of_a_value(void **state) {
    (void)state;
    struct span value = {"  a bb   c ", 11};
    assert_span(linkformat_word(&value), "a");
    assert_span(linkformat_word(&value), "bb");
    assert_span(linkformat_word(&value), "c");
    assert_null(linkformat_word(&value).at);
    assert_null(linkformat_word(&value).at);
    struct span none = {0};
    assert_null(linkformat_word(&none).at);
}

static void u09_prefix_match_on_each_word(void **state) {
    (void)state;
    static const char text[] = "</a>;rt=\"core.s ace.est.crts\";ct=\"281 287\",</b>;rt=ace.estX,"
                               "</c>;rt=\"xace.est.sen\",</d>;if=\"i j\";sz=10;obs,</e/f>";
    static const struct {
        const char *query, *left;
    } rows[] = {
        {NULL, text},
        {"", text},
        {"rt=ace.est*", "</a>;rt=\"core.s ace.est.crts\";ct=\"281 287\",</b>;rt=ace.estX"},
        {"rt=ace.est.*", "</a>;rt=\"core.s ace.est.crts\";ct=\"281 287\""},
        {"rt=ace.est.crts", "</a>;rt=\"core.s ace.est.crts\";ct=\"281 287\""},
        {"rt=ace.est.crt", ""},
        {"rt=ace.est", ""},
        {"rt=core.s ace.est.crts", ""},
        {"rt=*", "</a>;rt=\"core.s ace.est.crts\";ct=\"281 287\",</b>;rt=ace.estX,"
                 "</c>;rt=\"xace.est.sen\""},
        {"if=j", "</d>;if=\"i j\";sz=10;obs"},
        {"sz=10", "</d>;if=\"i j\";sz=10;obs"},
        {"sz=1", ""},
        {"ct=281*", "</a>;rt=\"core.s ace.est.crts\";ct=\"281 287\""},
        {"href=/e*", "</e/f>"},
        {"href=/e", ""},
        {"nothing=x", ""},
        {"rt=ace.est*&href=/b", "</b>;rt=ace.estX"},
        {"rt=ace.est*&href=/d", ""},
        {"not a filter", text},
        {"=x", text},
        {"&&", text},
        {"a_name_that_is_longer_than_any_name_of_a_parameter=*", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf out = {0};
        assert_int_equal(linkformat_filter(text, sizeof(text) - 1, rows[i].query, &out), 0);
        assert_string_equal(out.len > 0 ? (const char *)out.data : "", rows[i].left);
    }
}

static void a_filter_appends(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf out = {0};
    assert_int_equal(estc_buf_append(&out, "before ", 7), 0);
    assert_int_equal(linkformat_filter("</a>;rt=x", 9, "rt=x", &out), 0);
    assert_string_equal((char *)out.data, "before </a>;rt=x");
    assert_int_equal(linkformat_filter("</a>,<", 6, NULL, &out), ESTC_E_MALFORMED);
    assert_int_equal(out.len, strlen("before </a>;rt=x"));
}

/* Every byte sequence ends in a count or a refusal, and what is found lies inside the text. The
 * text is copied to its exact size, so that a sanitizer sees a step too far. */
static void judge(const unsigned char *text, size_t len) {
    _cleanup(freep) char *exact = malloc(len ? len : 1);
    memcpy(exact, text, len);
    struct linkformat_reader reader = linkformat_read(exact, len);
    struct linkformat_link link;
    while (linkformat_next(&reader, &link) == 1) {
        assert_true(link.whole.at >= exact && link.whole.at + link.whole.len <= exact + len);
        struct span rt = linkformat_param(&link, "rt"), none = linkformat_param(&link, "none");
        assert_true(!rt.at || (rt.at >= exact && rt.at + rt.len <= exact + len));
        assert_true(!none.at || none.len <= len);
        for (struct span word = linkformat_word(&rt); word.at; word = linkformat_word(&rt))
            assert_true(word.len > 0);
        linkformat_matches(&link, "rt=ace.est*&ct=*&href=*");
    }
}

static void u10_cut_and_mutated(void **state) {
    (void)state;
    static const unsigned char odd[] = {0x00, '"', '\\', '<', '>', ',', ';', '=', ' ', 0x7f, 0xff};
    _cleanup(estc_buf_clear) struct estc_buf text =
        support_vector("9148-4.1-discovery-port.link-format.txt");
    for (size_t len = 0; len <= text.len; len++)
        judge(text.data, len);
    for (size_t at = 0; at < text.len; at++) {
        unsigned char was = text.data[at];
        for (size_t i = 0; i < sizeof(odd); i++) {
            text.data[at] = odd[i];
            judge(text.data, text.len);
        }
        text.data[at] = was;
    }
}

/* Linear: a long list of links, of parameters and of quotes is read in no time. */
static void long_texts(void **state) {
    (void)state;
    static const char *const units[] = {"</a>;rt=x,", "</a>", ";a=b", "\"\\\"", ";", "<", ",", " "};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t n = strlen(units[i]), times = 65536 / n;
        _cleanup(freep) char *text = malloc(n * times + 4);
        memcpy(text, "</a>", 4);
        for (size_t k = 0; k < times; k++)
            memcpy(text + 4 + k * n, units[i], n);
        judge((unsigned char *)text, n * times + 4);
        judge((unsigned char *)text + 4, n * times);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u08_rfc_example),
        cmocka_unit_test(u10_what_others_write),
        cmocka_unit_test(broken_texts_are_refused),
        cmocka_unit_test(words_of_a_value),
        cmocka_unit_test(u09_prefix_match_on_each_word),
        cmocka_unit_test(a_filter_appends),
        cmocka_unit_test(u10_cut_and_mutated),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
