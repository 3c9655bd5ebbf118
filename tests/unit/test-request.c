/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What somebody asks for at run time: from the members of a call to a text, to an identity, and to
 * the state folder and out of it again. Nothing that stands in a value becomes a setting.
 */
#include "config_fixture.h"

#include <jansson.h>

#include "agent/config_request.h"
#include "base/text.h"
#include "ctl/json.h"
#include "estcd/request.h"
#include "estcd/store_request.h"

#define STATE(c) (c)->place->path

static struct config_identity *read_back(struct conf_place *c, const struct config *config,
                                         const char *text) {
    struct config_identity *identity = NULL;
    conf_errors_clear(&c->errors);
    assert_int_equal(
        config_request_read("gw", NULL, text, strlen(text), config, &identity, &c->errors), 0);
    assert_int_equal(config_names(&(struct config_named){identity, &c->errors}, 1), 0);
    return conf_errors_any(&c->errors) ? config_request_free(identity) : identity;
}

static void every_member_is_a_key(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(c, "defaults = { alert_at = \"90%\"; };\n");
    _cleanup(json_freep) json_t *params = json_pack(
        "{s:s, s:s, s:s, s:s, s:[s, s], s:s, s:s, s:s, s:s}", "id", "gw", "url", "coaps://h/x",
        "label", "l", "subject", "CN=a", "sans", "DNS:b.example", "DNS:c.example", "key_type",
        "p384", "birth_certificate", "/c.pem", "birth_key", "/k.pem", "trust", "/t.pem");
    _cleanup(freep) char *text = request_text(params, &c->errors);
    assert_non_null(text);
    struct config_identity *i = read_back(c, config, text);
    assert_no_errors(&c->errors);
    assert_string_equal(i->id, "gw");
    assert_string_equal(i->urls[0], "coaps://h/x");
    assert_string_equal(i->label, "l");
    assert_string_equal(i->subject, "CN=a");
    assert_string_equal(i->subject_alt_names[1], "DNS:c.example");
    assert_int_equal(i->key_type, ESTC_KEY_P384);
    assert_string_equal(i->birth_certificate, "/c.pem");
    assert_string_equal(i->birth_key, "/k.pem");
    assert_string_equal(i->trust, "/t.pem");
    assert_int_equal(i->alert_at, 900); /* from defaults */
    assert_int_equal(i->renew_at, 660); /* built in */
    assert_null(i->deploy.digest);
    config_request_free(i);
    config_free(config);
}

static void a_value_stays_a_value(void **state) {
    struct conf_place *c = *state;
    static const char *const values[] = {
        "a\"; exec = 1; \"", "a\\", "\\\"", "/* */ # //", "@include \"x\"", "a\xc3\xa4", "};",
    };
    for (size_t n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
        struct config_identity read = {0};
        conf_errors_clear(&c->errors);
        _cleanup(json_freep) json_t *params =
            json_pack("{s:s, s:s, s:[s]}", "id", "gw", "subject", values[n], "sans", values[n]);
        _cleanup(freep) char *text = request_text(params, &c->errors);
        assert_non_null(text);
        assert_int_equal(
            conf_read_text(NULL, text, strlen(text), config_request_keys, &read, &c->errors), 0);
        assert_no_errors(&c->errors);
        assert_string_equal(read.subject, values[n]);
        assert_string_equal(read.subject_alt_names[0], values[n]);
        conf_clear(config_request_keys, &read);
    }
}

static void what_no_file_can_say_is_refused(void **state) {
    struct conf_place *c = *state;
    static const struct {
        const char *member, *value, *says;
    } rows[] = {
        {"subject", "CN=a\nb", "subject: 'CN=a?b' has a control character: leave it out"},
        {"url", "\x7f", "url: '?' has a control character"},
        {"trust", "t.pem", "trust: 't.pem' is not an absolute path"},
        {"birth_key", "../k.pem", "birth.key: '../k.pem' is not an absolute path"},
    };
    for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        conf_errors_clear(&c->errors);
        _cleanup(json_freep) json_t *params =
            json_pack("{s:s, s:s}", "id", "gw", rows[n].member, rows[n].value);
        assert_null(request_text(params, &c->errors));
        assert_says(&c->errors, rows[n].says);
    }
}

static void what_root_does_is_no_key_of_it(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(c, DEFAULTS);
    static const char *const texts[] = {"reload = \"a.service\";",
                                        "restart = \"a.service\";",
                                        "exec = ( { command = \"/bin/true\"; } );",
                                        "install = ( { file = \"/x\"; content = \"key\"; } );",
                                        "id = \"other\";",
                                        "identities = ( );",
                                        "defaults = { };"};
    for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++) {
        _cleanup(freep) char *text = text_format("subject = \"CN=a\";\n%s", texts[n]);
        assert_null(read_back(c, config, text));
        assert_says(&c->errors, "unknown key '");
    }
    config_free(config);
}

/* --- the folder --- */

static void write_at(struct conf_place *c, const char *name, const char *text) {
    assert_int_equal(fs_write_atomic(c->place->fd, name, text, strlen(text), 0644, NULL), 0);
}

static bool is_there(struct conf_place *c, const char *name) {
    struct stat st;
    return fstatat(c->place->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void nothing_is_lost_by_forgetting(void **state) {
    struct conf_place *c = *state;
    assert_int_equal(fs_mkdir_all(c->place->fd, "identities/gw/generations", 0700, NULL), 0);
    for (int n = 1; n <= 2; n++) {
        _cleanup(freep) char *kept = NULL, *where = text_format("forgotten/gw-%d", n);
        assert_int_equal(store_save_request(STATE(c), "gw", "x", NULL), 0);
        write_at(c, "identities/gw/generations/1", "key");
        assert_int_equal(store_begin_forget(STATE(c), "gw", false, NULL), 0);
        char **ids = NULL;
        assert_int_equal(store_list_requests(STATE(c), &ids, NULL), 0);
        assert_null(ids); /* from here on, whatever happens to its folder */
        assert_int_equal(store_end_forget(STATE(c), "gw", &kept, NULL), 0);
        assert_string_equal(kept, where);
        assert_true(is_there(c, where));
        assert_false(is_there(c, "identities/gw") || is_there(c, "requests/gw.forget"));
        assert_int_equal(fs_mkdir_all(c->place->fd, "identities/gw/generations", 0700, NULL), 0);
        free(kept);
        kept = NULL;
        assert_int_equal(store_end_forget(STATE(c), "gw", &kept, NULL), 0);
        assert_null(kept); /* once is enough */
        assert_true(is_there(c, "identities/gw"));
    }
}

/* Cut off after any of its steps, it is finished later. */
static void forgetting_is_finished_after_a_cut(void **state) {
    struct conf_place *c = *state;
    for (int cut = 0; cut < 2; cut++) {
        for (int purge = 0; purge < 2; purge++) {
            assert_int_equal(fs_mkdir_all(c->place->fd, "identities/gw", 0700, NULL), 0);
            assert_int_equal(fs_mkdir_all(c->place->fd, "forgotten", 0700, NULL), 0);
            assert_int_equal(store_save_request(STATE(c), "gw", "x", NULL), 0);
            assert_int_equal(store_begin_forget(STATE(c), "gw", purge, NULL), 0);
            if (cut == 1)
                assert_int_equal(
                    purge ? fs_remove_tree(c->place->fd, "identities/gw", NULL)
                          : renameat(c->place->fd, "identities/gw", c->place->fd, "forgotten/gw-7"),
                    0);
            write_at(c, "requests/.estc-tmp-1-1", "half");
            assert_int_equal(store_tidy_requests(STATE(c), NULL), 0);
            assert_false(is_there(c, "identities/gw"));
            assert_false(is_there(c, "requests/gw.forget") || is_there(c, "requests/gw.purge"));
            assert_false(is_there(c, "requests/.estc-tmp-1-1"));
        }
    }
    assert_true(is_there(c, "forgotten/gw-1") && is_there(c, "forgotten/gw-7"));
}

static void names_are_taken_as_hostile_and_counted(void **state) {
    struct conf_place *c = *state;
    char **ids = NULL;
    assert_int_equal(store_list_requests(STATE(c), &ids, NULL), 0);
    assert_null(ids);
    assert_int_equal(store_save_request(STATE(c), "b", "x", NULL), 0);
    static const char *const strangers[] = {".conf", "..conf", "-x.conf",    "a b.conf",
                                            "x",     "x.CONF", "a.replaced", "\xff.conf"};
    for (size_t n = 0; n < sizeof(strangers) / sizeof(strangers[0]); n++) {
        _cleanup(freep) char *path = text_format("requests/%s", strangers[n]);
        write_at(c, path, "x");
    }
    assert_int_equal(store_list_requests(STATE(c), &ids, NULL), 0);
    assert_int_equal(text_list_len(ids), 1);
    assert_string_equal(ids[0], "b");
    text_list_free(ids);
    ids = NULL;
    for (int n = 0; n < STORE_REQUESTS_MAX; n++) {
        _cleanup(freep) char *path = text_format("requests/i%d.conf", n);
        int fd = openat(c->place->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(store_list_requests(STATE(c), &ids, NULL), 0);
    assert_int_equal(text_list_len(ids), STORE_REQUESTS_MAX);
    text_list_free(ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(every_member_is_a_key),
        WITH_FILES(a_value_stays_a_value),
        WITH_FILES(what_no_file_can_say_is_refused),
        WITH_FILES(what_root_does_is_no_key_of_it),
        WITH_FILES(nothing_is_lost_by_forgetting),
        WITH_FILES(forgetting_is_finished_after_a_cut),
        WITH_FILES(names_are_taken_as_hostile_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
