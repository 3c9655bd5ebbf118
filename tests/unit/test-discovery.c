/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server lists of itself, and how a client finds another root by it. */
#include "canned.h"

#include <errno.h>

#include <estc/discovery.h>
#include <estc/log.h>
#include <estc/server.h>
#include <estc/url.h>

#include "base/cleanup.h"
#include "est/discovery.h"

/* --- the server --- */

static int some_wishes(void *arg, const struct estc_peer *peer, const char *label,
                       struct estc_buf *der, struct estc_error *err) {
    (void)arg, (void)peer, (void)label, (void)der, (void)err;
    return 0;
}

static const struct estc_server_ops plain_ops = {0}, wishing_ops = {.csrattrs = some_wishes};

#define CT ";ct=\"281 287\""
#define LINKS(base)                                                                            \
    "<" base "/crts>;rt=\"ace.est.crts\"" CT ",<" base "/sen>;rt=\"ace.est.sen\"" CT ",<" base \
    "/sren>;rt=\"ace.est.sren\"" CT

static void assert_links(const struct estc_server *server, const char *authority, const char *query,
                         const char *expected) {
    _cleanup(estc_buf_clear) struct estc_buf out = {0};
    assert_int_equal(estc_server_links(server, authority, query, &out), 0);
    assert_string_equal(out.len > 0 ? (const char *)out.data : "", expected);
}

static void u07_u08_lists_what_is_served(void **state) {
    (void)state;
    static const char *const labels[] = {"lab", "l;,", NULL};
    struct estc_server server = {.ops = &plain_ops};
    assert_links(&server, "", NULL, LINKS("/.well-known/est"));
    assert_links(&server, "coaps://[2001:db8::1]:61617", "rt=ace.est*",
                 LINKS("coaps://[2001:db8::1]:61617/.well-known/est"));
    server.ops = &wishing_ops;
    assert_links(&server, "", NULL,
                 LINKS("/.well-known/est") ",</.well-known/est/att>;rt=\"ace.est.att\";ct=285");
    server.ops = &plain_ops;
    server.root = ESTC_DEFAULT_ROOT;
    assert_links(&server, "", NULL, LINKS("/.well-known/est"));
    server.root = "/est";
    server.labels = labels;
    assert_links(&server, "", NULL,
                 LINKS("/est") "," LINKS("/est/lab") "," LINKS("/est/l;,") "," LINKS(
                     "/.well-known/est") "," LINKS("/.well-known/est/lab") "," LINKS("/.well-known/"
                                                                                     "est/l;,"));
}

static void u09_filters(void **state) {
    (void)state;
    const struct estc_server server = {.ops = &plain_ops, .root = "/est"};
    static const char sen[] = "</est/sen>;rt=\"ace.est.sen\"" CT;
    assert_links(&server, "", "rt=ace.est.sen&href=/est*", sen);
    assert_links(&server, "", "rt=ace.est", "");
    assert_links(&server, "", "rt=core.*", "");
    assert_links(&server, "", "no filter", LINKS("/est") "," LINKS("/.well-known/est"));
}

static struct estc_response ask(const struct estc_server *server,
                                const struct estc_request *request) {
    struct estc_response response = {.code = 500};
    const struct estc_peer peer = {.address = "192.0.2.1:5684"};
    estc_server_answer(server, &peer, request, &response);
    return response;
}

static void u07_answers_well_known_core(void **state) {
    (void)state;
    const struct estc_server server = {.ops = &plain_ops};
    struct estc_request request = {.path = "/.well-known/core",
                                   .query = "rt=ace.est*",
                                   .content_format = ESTC_FORMAT_NONE,
                                   .accept = ESTC_FORMAT_LINK};
    struct estc_response response = ask(&server, &request);
    assert_int_equal(response.code, 205);
    assert_int_equal(response.content_format, ESTC_FORMAT_LINK);
    assert_string_equal((char *)response.payload.data, LINKS("/.well-known/est"));
    estc_response_clear(&response);
    request.query = "rt=nothing";
    response = ask(&server, &request);
    assert_int_equal(response.code, 205);
    assert_int_equal(response.payload.len, 0);
    request.accept = ESTC_FORMAT_CERTS_ONLY;
    response = ask(&server, &request);
    assert_int_equal(response.code, 406);
    estc_response_clear(&response);
    request.accept = ESTC_FORMAT_NONE;
    request.method = ESTC_POST;
    response = ask(&server, &request);
    assert_int_equal(response.code, 405);
    estc_response_clear(&response);
    request.method = ESTC_GET;
    request.path = "/.well-known/core/x";
    response = ask(&server, &request);
    assert_int_equal(response.code, 404);
    estc_response_clear(&response);
}

/* --- which offer a client takes --- */

static int pick(const char *text, const char *label, char **base, struct estc_error *err) {
    const struct discovery_server server = {.host = "est.example", .port = 5684};
    struct estc_offers offers = {0};
    assert_int_equal(estc_offers_read(text, strlen(text), &offers, NULL), 0);
    int rc = discovery_pick(&offers, &server, label, base, err);
    estc_offers_clear(&offers);
    return rc;
}

static void u06_picks_a_root(void **state) {
    (void)state;
    static const struct {
        const char *text, *label, *base; /* base NULL: nothing */
    } rows[] = {
        {LINKS("/est"), "", "/est"},
        {LINKS("/est"), "lab", "/est/lab"}, /* labels need not be listed */
        {LINKS("/a") "," LINKS("/b"), "", "/a"},
        {LINKS("/a/lab") "," LINKS("/a"), "", "/a"},
        {LINKS("/a") "," LINKS("/b") "," LINKS("/b/lab"), "lab", "/b/lab"},
        {LINKS("coaps://est.example/est"), "", "/est"},
        {LINKS("coaps://EST.example:5684/est"), "", "/est"},
        {"</a/crts>;rt=ace.est.crts,</a/sen>;rt=ace.est.sen", "", NULL}, /* not all of them */
        {LINKS("/.well-known/est/lab"), "", NULL},
        {LINKS("/.well-known/est/lab"), "other", NULL},
        {"</x>;rt=core.s", "", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(freep) char *base = NULL;
        struct estc_error err = {0};
        int rc = pick(rows[i].text, rows[i].label, &base, &err);
        assert_int_equal(rc, rows[i].base ? 0 : ESTC_E_NOT_FOUND);
        if (rows[i].base)
            assert_string_equal(base, rows[i].base);
        else
            assert_null(base);
    }
}

static char logged[512];

static void remember(enum estc_log_level level, const char *text, void *arg) {
    (void)level, (void)arg;
    snprintf(logged, sizeof(logged), "%s", text);
}

static void u11_links_to_others_are_ignored(void **state) {
    (void)state;
    static const char *const others[] = {
        "coaps://evil.example",  "coaps://est.example:5685", "coaps://[2001:db8::1]",
        "coaps://est.example.x", "coaps://est.exampl",       "coaps://192.0.2.1:5684",
    };
    estc_log_set_handler(remember, NULL);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        _cleanup(freep) char *base = NULL;
        struct estc_error err = {0};
        char text[512];
        snprintf(text, sizeof(text),
                 "<%1$s/e/crts>;rt=ace.est.crts,<%1$s/e/sen>;rt=ace.est.sen,"
                 "<%1$s/e/sren>;rt=ace.est.sren",
                 others[i]);
        logged[0] = '\0';
        assert_int_equal(pick(text, "", &base, &err), ESTC_E_NOT_FOUND);
        assert_non_null(strstr(logged, "another server"));
        strcat(text, "," LINKS("/mine"));
        assert_int_equal(pick(text, "", &base, &err), 0);
        assert_string_equal(base, "/mine");
    }
    estc_log_set_handler(NULL, NULL);
}

/* --- the client, against a server that has EST below one root only --- */

struct place {
    struct estc_transport transport;
    const char *root;  /* has /crts; NULL: nothing does */
    const char *links; /* of /.well-known/core; NULL: 4.04 */
    int links_format;
    int core_rc; /* of the transport, when asked for it */
    int asked, core_asked;
    char paths[512];
};

static int place_request(struct estc_transport *t, const struct estc_request *request,
                         const struct estc_wait *wait, struct estc_response *response,
                         struct estc_error *err) {
    (void)wait;
    struct place *p = (struct place *)t;
    size_t used = strlen(p->paths);
    snprintf(p->paths + used, sizeof(p->paths) - used, "%s%s%s ", request->path,
             request->query ? "?" : "", request->query ? request->query : "");
    p->asked++;
    *response = (struct estc_response){.code = 404, .content_format = -1, .max_age = -1};
    if (strcmp(request->path, "/.well-known/core") == 0) {
        p->core_asked++;
        if (p->core_rc)
            return estc_error_set(err, p->core_rc, "went away");
        if (!p->links)
            return 0;
        response->code = 205;
        response->content_format = p->links_format;
        return estc_buf_append(&response->payload, p->links, strlen(p->links));
    }
    if (!p->root || strncmp(request->path, p->root, strlen(p->root)) != 0)
        return estc_buf_append(&response->payload, "nothing here", 12);
    response->code = 205;
    response->content_format = ESTC_FORMAT_CERTS_ONLY;
    return estc_buf_append(&response->payload, enrolment.answer.data, enrolment.answer.len);
}

static int place_connect(struct estc_transport *t, const struct estc_wait *wait,
                         struct estc_error *err) {
    (void)t, (void)wait, (void)err;
    return 0;
}

static const struct estc_transport_ops place_ops = {.connect = place_connect,
                                                    .request = place_request};

static int cacerts(struct place *p, const char *root, bool discover, int times) {
    struct estc_client *client = NULL;
    struct estc_error err = {0};
    struct estc_wait wait = estc_wait_in(1000);
    const struct estc_client_options options = {.transport = &p->transport,
                                                .root = root,
                                                .discover = discover,
                                                .host = "est.example",
                                                .port = 5684};
    int rc = 0;
    p->transport.ops = &place_ops;
    assert_int_equal(estc_client_new(&options, &client, NULL), 0);
    for (int i = 0; i < times; i++) {
        STACK_OF(X509) *certs = NULL;
        rc = estc_client_cacerts(client, &wait, &certs, &err);
        sk_X509_pop_free(certs, X509_free);
    }
    estc_client_free(client);
    return rc;
}

static void u06_the_usual_root_needs_no_question(void **state) {
    (void)state;
    struct place p = {.root = ESTC_DEFAULT_ROOT, .links = LINKS("/est"), .links_format = 40};
    assert_int_equal(cacerts(&p, NULL, true, 2), 0);
    assert_string_equal(p.paths, "/.well-known/est/crts /.well-known/est/crts ");
}

static void u06_an_unknown_root_is_asked_for_once(void **state) {
    (void)state;
    struct place p = {.root = "/est", .links = LINKS("/est"), .links_format = 40};
    assert_int_equal(cacerts(&p, NULL, true, 2), 0);
    assert_string_equal(p.paths, "/.well-known/est/crts /.well-known/core?rt=ace.est* /est/crts "
                                 "/est/crts ");
}

static void u06_a_configured_path_needs_none(void **state) {
    (void)state;
    struct place p = {.root = "/est", .links = LINKS("/est"), .links_format = 40};
    assert_int_equal(cacerts(&p, "/other", false, 1), ESTC_E_REJECTED);
    assert_string_equal(p.paths, "/other/crts ");
}

/* What comes to nothing leaves the first refusal as it was; a server that went away does not look
 * like a refusal. */
static void discovery_that_comes_to_nothing(void **state) {
    (void)state;
    struct place rows[] = {
        {.links = NULL},
        {.links = LINKS("/.well-known/est"), .links_format = 40}, /* what was asked already */
        {.links = LINKS("/est"), .links_format = 0},
        {.links = "garbage", .links_format = 40},
        {.links = LINKS("coaps://evil.example/est"), .links_format = 40},
        {.links = LINKS("/nowhere"), .links_format = 40},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(cacerts(&rows[i], NULL, true, 2), ESTC_E_REJECTED);
        assert_int_equal(rows[i].core_asked, 1);
    }
    struct place gone = {.core_rc = ESTC_E_TIMEOUT};
    assert_int_equal(cacerts(&gone, NULL, true, 1), ESTC_E_TIMEOUT);
}

/* The code is the same for those who want no text. */
static void failures_without_a_text(void **state) {
    (void)state;
    const struct discovery_server server = {.host = "est.example", .port = 5684};
    struct estc_wait wait = estc_wait_in(1000);
    struct place p = {.transport.ops = &place_ops, .links = "garbage", .links_format = 40};
    char *base = NULL;
    assert_int_equal(discovery_ask(&p.transport, &server, "", &wait, &base, NULL),
                     ESTC_E_MALFORMED);
    assert_null(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u07_u08_lists_what_is_served),
        cmocka_unit_test(u09_filters),
        cmocka_unit_test(u07_answers_well_known_core),
        cmocka_unit_test(u06_picks_a_root),
        cmocka_unit_test(u11_links_to_others_are_ignored),
        cmocka_unit_test(u06_the_usual_root_needs_no_question),
        cmocka_unit_test(u06_an_unknown_root_is_asked_for_once),
        cmocka_unit_test(u06_a_configured_path_needs_none),
        cmocka_unit_test(discovery_that_comes_to_nothing),
        cmocka_unit_test(failures_without_a_text),
    };
    return cmocka_run_group_tests(tests, canned_setup, canned_teardown);
}
