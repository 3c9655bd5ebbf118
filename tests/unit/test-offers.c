/* SPDX-License-Identifier: BSD-2-Clause */
/* From links of anybody to places where EST is offered. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <estc/discovery.h>

#include "base/cleanup.h"

static struct estc_offers read_offers(const char *text) {
    struct estc_offers offers = {0};
    struct estc_error err = {0};
    if (estc_offers_read(text, strlen(text), &offers, &err))
        fail_msg("%s: %s", text, err.text);
    return offers;
}

static void u08_u10_rfc_example(void **state) {
    (void)state;
    static const struct {
        const char *file, *host;
        unsigned port;
    } rows[] = {
        {"9148-4.1-discovery.link-format.txt", NULL, 0},
        {"9148-4.1-discovery-port.link-format.txt", "2001:db8:3::123", 61617},
    };
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_buf_clear) struct estc_buf text = support_vector(rows[i].file);
        struct estc_offers offers = {0};
        assert_int_equal(estc_offers_read(text.data, text.len, &offers, NULL), 0);
        assert_int_equal(offers.n, 1);
        assert_int_equal(offers.ignored, 0);
        const struct estc_offer *offer = offers.items;
        assert_string_equal(offer->root, "/est");
        assert_string_equal(offer->label, "");
        assert_int_equal(offer->port, rows[i].port);
        if (rows[i].host)
            assert_string_equal(offer->host, rows[i].host);
        else
            assert_null(offer->host);
        for (int op = 0; op < ESTC_OP_MAX_; op++)
            assert_true(offer->ops[op].offered);
        assert_int_equal(offer->ops[ESTC_OP_SREN].formats[0], 281);
        assert_int_equal(offer->ops[ESTC_OP_SREN].formats[1], 287);
        assert_int_equal(offer->ops[ESTC_OP_SREN].formats[2], ESTC_FORMAT_NONE);
        assert_int_equal(offer->ops[ESTC_OP_ATT].formats[0], 285);
        assert_int_equal(offer->ops[ESTC_OP_SKG].formats[0], 62);
        assert_int_equal(offer->ops[ESTC_OP_SKC].formats[1], ESTC_FORMAT_NONE);
        estc_offers_clear(&offers);
    }
}

/* One link, and what it comes to: "HOST|PORT|ROOT|LABEL", "ignored", or "" for an unrelated one. */
static void u10_targets(void **state) {
    (void)state;
    static const struct {
        const char *link, *offer;
    } rows[] = {
        {"</est/crts>;rt=ace.est.crts", "-|0|/est|"},
        {"<est/crts>;rt=ace.est.crts", "-|0|/est|"},
        {"</a/b/c/crts>;rt=ace.est.crts", "-|0|/a/b/c|"},
        {"</.well-known/est/crts>;rt=\"x ace.est.crts\"", "-|0|/.well-known/est|"},
        {"</.well-known/est/lab/crts>;rt=ace.est.crts", "-|0|/.well-known/est|lab"},
        {"<coaps://h.example/est/crts>;rt=ace.est.crts", "h.example|5684|/est|"},
        {"<COAPS://h.example:99/est/crts>;rt=ace.est.crts", "h.example|99|/est|"},
        {"<coaps://[fe80::1]:99/est/crts>;rt=ace.est.crts", "fe80::1|99|/est|"},
        {"</est/sen>;rt=ace.est.sen;anchor=\"coaps://other\"", "ignored"},
        {"</est/crts>;rt=ace.est.sen", "ignored"}, /* says one thing, is another */
        {"</est/crt>;rt=ace.est.crts", "ignored"},
        {"</est/cacerts>;rt=ace.est.crts", "ignored"},
        {"</crts>;rt=ace.est.crts", "ignored"}, /* no root at all */
        {"<crts>;rt=ace.est.crts", "ignored"},
        {"<>;rt=ace.est.crts", "ignored"},
        {"</>;rt=ace.est.crts", "ignored"},
        {"</est/fullcmc>;rt=ace.est.fullcmc", "ignored"},
        {"<coap://h/est/crts>;rt=ace.est.crts", "ignored"},
        {"<https://h/est/crts>;rt=ace.est.crts", "ignored"},
        {"<//h/est/crts>;rt=ace.est.crts", "ignored"},
        {"<mailto:a@b>;rt=ace.est.crts", "ignored"},
        {"<coaps://u@h/est/crts>;rt=ace.est.crts", "ignored"},
        {"<coaps:///est/crts>;rt=ace.est.crts", "ignored"},
        {"<coaps://h:0/est/crts>;rt=ace.est.crts", "ignored"},
        {"<coaps://[::1/est/crts>;rt=ace.est.crts", "ignored"},
        {"</est/../crts>;rt=ace.est.crts", "ignored"},
        {"</e%73t/crts>;rt=ace.est.crts", "ignored"},
        {"</est//crts>;rt=ace.est.crts", "ignored"},
        {"</est/crts?x>;rt=ace.est.crts", "ignored"},
        {"</\xc3\xa4/crts>;rt=ace.est.crts", "ignored"},
        {"</est/crts>", ""},
        {"</est/crts>;rt=core.s", ""},
        {"</est/crts>;rt=xace.est.crts", ""},
        {"</est/crts>;if=ace.est.crts", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_offers offers = read_offers(rows[i].link);
        char got[128] = "";
        if (offers.n > 0)
            snprintf(got, sizeof(got), "%s|%u|%s|%s",
                     offers.items[0].host ? offers.items[0].host : "-", offers.items[0].port,
                     offers.items[0].root, offers.items[0].label);
        else if (offers.ignored > 0)
            strcpy(got, "ignored");
        if (strcmp(got, rows[i].offer) != 0)
            fail_msg("%s: '%s' is not '%s'", rows[i].link, got, rows[i].offer);
        estc_offers_clear(&offers);
    }
}

static void u10_unrelated_links_between(void **state) {
    (void)state;
    struct estc_offers offers = read_offers(
        "</sensors>;ct=40;title=\"a, b\",</est/crts>;rt=\"core.x ace.est.crts\";ct=281,"
        "</.well-known/core>;ct=40,</est/sen>;rt=ace.est.sen;rt=ace.est.crts;ct=\"287 281\",</fw>");
    assert_int_equal(offers.n, 1);
    assert_true(offers.items[0].ops[ESTC_OP_CRTS].offered);
    assert_true(offers.items[0].ops[ESTC_OP_SEN].offered);
    assert_false(offers.items[0].ops[ESTC_OP_SREN].offered);
    assert_int_equal(offers.items[0].ops[ESTC_OP_SEN].formats[0], 287);
    assert_int_equal(offers.ignored, 0);
    estc_offers_clear(&offers);
}

static void odd_formats(void **state) {
    (void)state;
    static const struct {
        const char *ct;
        int formats[4];
    } rows[] = {
        {"ct=281", {281, -1}},
        {"ct=\"281 x 287\"", {281, 287, -1}},
        {"ct=65535", {65535, -1}},
        {"ct=65536", {-1}},
        {"ct=99999999999999999999", {-1}},
        {"ct=\"1 2 3 4 5\"", {1, 2, 3, -1}},
        {"ct=-1", {-1}},
        {"ct", {-1}},
        {"sz=1", {-1}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char link[128];
        snprintf(link, sizeof(link), "</est/crts>;rt=ace.est.crts;%s", rows[i].ct);
        struct estc_offers offers = read_offers(link);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(offers.items[0].ops[ESTC_OP_CRTS].formats[k], rows[i].formats[k]);
            if (rows[i].formats[k] == -1)
                break;
        }
        estc_offers_clear(&offers);
    }
}

static void u03_labels_are_told_from_roots(void **state) {
    (void)state;
    struct estc_offers offers =
        read_offers("</est/a/crts>;rt=ace.est.crts,</est/crts>;rt=ace.est.crts,"
                    "</x/y/crts>;rt=ace.est.crts,<coaps://h/x/crts>;rt=ace.est.crts,"
                    "</est/a/b/crts>;rt=ace.est.crts");
    static const char *const rows[][2] = {
        {"/est", "a"}, {"/est", ""}, {"/x/y", ""}, {"/x", ""}, {"/est/a", "b"}};
    assert_int_equal(offers.n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(offers.items[i].root, rows[i][0]);
        assert_string_equal(offers.items[i].label, rows[i][1]);
    }
    estc_offers_clear(&offers);
}

static void what_is_no_answer(void **state) {
    (void)state;
    struct estc_offers offers = {.n = 7};
    struct estc_error err = {0};
    assert_int_equal(estc_offers_read("<html>", 6, &offers, NULL), 0); /* one unrelated link */
    assert_int_equal(offers.n, 0);
    static const char *const bad[] = {"hello", "</est/crts>;rt=ace.est.crts,", "\xff\xfe"};
    for (size_t i = 0; i < 3; i++) {
        offers.n = 7;
        assert_int_equal(estc_offers_read(bad[i], strlen(bad[i]), &offers, &err), ESTC_E_MALFORMED);
        assert_int_equal(offers.n, 7); /* written on success only */
    }
    assert_non_null(strstr(err.text, "RFC 6690"));
}

static void too_many_places(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    struct estc_offers offers = {0};
    for (unsigned i = 0; i < 65; i++) {
        char link[64];
        snprintf(link, sizeof(link), "%s</r%u/crts>;rt=ace.est.crts", i ? "," : "", i);
        assert_int_equal(estc_buf_append(&text, link, strlen(link)), 0);
        int rc = estc_offers_read(text.data, text.len, &offers, NULL);
        assert_int_equal(rc, i < 64 ? 0 : ESTC_E_TOO_LARGE);
        if (!rc) {
            assert_int_equal(offers.n, i + 1);
            estc_offers_clear(&offers);
        }
    }
}

static void u10_cut_and_mutated(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf text =
        support_vector("9148-4.1-discovery-port.link-format.txt");
    for (size_t at = 0; at <= text.len; at++) {
        _cleanup(freep) char *cut = malloc(at ? at : 1);
        struct estc_offers offers = {0};
        memcpy(cut, text.data, at);
        if (estc_offers_read(cut, at, &offers, NULL) == 0)
            estc_offers_clear(&offers);
        for (unsigned bit = 0; at < text.len && bit < 8; bit++) {
            text.data[at] ^= (unsigned char)(1u << bit);
            if (estc_offers_read(text.data, text.len, &offers, NULL) == 0) {
                assert_true(offers.n + offers.ignored <= 6);
                estc_offers_clear(&offers);
            }
            text.data[at] ^= (unsigned char)(1u << bit);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u08_u10_rfc_example),
        cmocka_unit_test(u10_targets),
        cmocka_unit_test(u10_unrelated_links_between),
        cmocka_unit_test(odd_formats),
        cmocka_unit_test(u03_labels_are_told_from_roots),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(too_many_places),
        cmocka_unit_test(u10_cut_and_mutated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
