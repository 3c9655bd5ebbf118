/* SPDX-License-Identifier: BSD-2-Clause */
/* What estcd.conf says about deploying: what is taken, what is refused, and when it has changed. */
#include "conf_file.h"

#include <string.h>

#include "agent/config.h"

#define DEPLOY(more)                                                                     \
    "identities = (\n { id = \"gw\"; url = \"coaps://est.example\"; trust = \"t.pem\"; " \
    "subject = \"CN=gw\"; birth = { certificate = \"c\"; key = \"k\"; }; " more " } );\n"

static struct config *load(struct conf_place *c, const char *text) {
    struct config *config = NULL;
    conf_errors_clear(&c->errors);
    conf_write(c, "estcd.conf", text);
    config_load(c->path, &config, &c->errors);
    return config;
}

static struct config *load_good(struct conf_place *c, const char *text) {
    struct config *config = load(c, text);
    assert_no_errors(&c->errors);
    assert_non_null(config);
    return config;
}

static void nothing_is_to_be_done_unless_said(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(c, DEPLOY(""));
    assert_null(config_at(config, 0)->deploy.digest);
    config_free(config);
    config = load_good(c, DEPLOY("install = (); reload = []; exec = ();"));
    assert_null(config_at(config, 0)->deploy.digest);
    config_free(config);
}

static void all_of_it_is_read(void **state) {
    struct conf_place *c = *state;
    struct config *config = load_good(
        c, DEPLOY("install = ( { file = \"/a\"; content = \"cert\"; }, { file = \"/b\"; content = "
                  "\"key\"; group = \"g\"; }, { file = \"/c\"; content = \"pkcs12\"; owner = \"o\";"
                  " mode = \"0440\"; password = \"/p\"; }, { file = \"/d\"; content = \"key\"; "
                  "format = \"der\"; }); reload = \"a.service\"; restart = [ \"b@1.service\" ];"
                  "exec = ( { command = \"/x\"; }, { command = [ \"/y\", \"\" ]; timeout = \"5s\"; "
                  "} );"));
    const struct config_deploy *deploy = &config_at(config, 0)->deploy;
    static const struct {
        int content, format;
        mode_t mode;
    } files[] = {{CONFIG_CONTENT_CERT, CONFIG_FORMAT_PEM, 0644},
                 {CONFIG_CONTENT_KEY, CONFIG_FORMAT_PEM, 0640},
                 {CONFIG_CONTENT_PKCS12, CONFIG_FORMAT_PEM, 0440},
                 {CONFIG_CONTENT_KEY, CONFIG_FORMAT_DER, 0600}};
    assert_int_equal(deploy->install.n, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct config_install *install = config_install_at(deploy, i);
        assert_int_equal(install->content, files[i].content);
        assert_int_equal(install->format, files[i].format);
        assert_int_equal(install->mode_bits, files[i].mode);
    }
    assert_string_equal(config_install_at(deploy, 2)->owner, "o");
    assert_string_equal(config_install_at(deploy, 2)->password, "/p");
    assert_string_equal(deploy->reload[0], "a.service");
    assert_string_equal(deploy->restart[0], "b@1.service");
    assert_int_equal(deploy->exec.n, 2);
    assert_int_equal(config_exec_at(deploy, 0)->timeout, 60);
    assert_int_equal(config_exec_at(deploy, 1)->timeout, 5);
    assert_string_equal(config_exec_at(deploy, 1)->command[1], "");
    assert_null(config_exec_at(deploy, 1)->command[2]);
    config_free(config);
}

#define FILE_OF(more) DEPLOY("install = ( { file = \"/a\"; " more " } );")

static void what_cannot_be_done_is_refused(void **state) {
    struct conf_place *c = *state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {FILE_OF("content = \"secret\";"), "none of cert, key"},
        {FILE_OF(""), "'content' is missing"},
        {DEPLOY("install = ( { content = \"key\"; } );"), "'file' is missing"},
        {DEPLOY("install = ( { content = \"key\"; file = \"/a/\"; } );"), "names a folder"},
        {FILE_OF("content = \"key\"; mode = \"0644\";"), "private key to everybody"},
        {FILE_OF("content = \"pkcs12\"; mode = \"0601\";"), "private key to everybody"},
        {FILE_OF("content = \"cert\"; mode = \"0888\";"), "not an octal number"},
        {FILE_OF("content = \"cert\"; mode = \"4755\";"), "not an octal number"},
        {FILE_OF("content = \"cert\"; mode = \"-1\";"), "not an octal number"},
        {FILE_OF("content = \"cert\"; mode = \" 7\";"), "not an octal number"},
        {FILE_OF("content = \"chain\"; format = \"der\";"), "single certificate or key"},
        {FILE_OF("content = \"cert\"; password = \"/p\";"), "only content = \"pkcs12\""},
        {DEPLOY("reload = [ \"nginx\" ];"), "not the name of a unit"},
        {DEPLOY("reload = [ \"\" ];"), "not the name of a unit"},
        {DEPLOY("restart = [ \"--root=/x.service\" ];"), "not the name of a unit"},
        {DEPLOY("restart = [ \"a/b.service\" ];"), "not the name of a unit"},
        {DEPLOY("exec = ( { command = \"x\"; } );"), "not an absolute path"},
        {DEPLOY("exec = ( { command = []; } );"), "names no program"},
        {DEPLOY("exec = ( { timeout = \"5s\"; } );"), "'command' is missing"},
        {DEPLOY("exec = ( { command = \"/x\"; timeout = \"2h\"; } );"), "out of range"},
        {"defaults = { reload = [ \"a.service\" ]; };", "unknown key 'reload'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(load(c, cases[i].text));
        if (!c->errors.lines || !strstr(c->errors.lines[0], cases[i].words))
            fail_msg("%s: %s", cases[i].text, c->errors.lines ? c->errors.lines[0] : "(taken)");
    }
    conf_errors_clear(&c->errors);
}

/* Each of these is another deployment than all the others. */
static void a_change_is_seen(void **state) {
    struct conf_place *c = *state;
    static const char *const texts[] = {
        FILE_OF("content = \"cert\";"),
        FILE_OF("content = \"cert\"; owner = \"x\";"),
        FILE_OF("content = \"cert\"; group = \"x\";"),
        FILE_OF("content = \"cert\"; mode = \"0600\";"),
        FILE_OF("content = \"cert\"; format = \"der\";"),
        FILE_OF("content = \"chain\";"),
        DEPLOY("reload = [ \"a.service\" ];"),
        DEPLOY("restart = [ \"a.service\" ];"),
        DEPLOY("reload = [ \"a.service\" ]; restart = [ \"a.service\" ];"),
        DEPLOY("exec = ( { command = [ \"/a\", \"b\" ]; } );"),
        DEPLOY("exec = ( { command = \"/a\"; }, { command = \"/b\"; } );"),
        DEPLOY("exec = ( { command = \"/ab\"; } );"),
    };
    enum { N = sizeof(texts) / sizeof(texts[0]) };
    char digests[N][65];
    for (size_t i = 0; i < N; i++) {
        struct config *config = load_good(c, texts[i]);
        snprintf(digests[i], sizeof(digests[i]), "%s", config_at(config, 0)->deploy.digest);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(digests[i], digests[k]);
        config_free(config);
    }
    struct config *config = load_good(c, texts[0]);
    assert_string_equal(config_at(config, 0)->deploy.digest, digests[0]);
    config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILES(nothing_is_to_be_done_unless_said),
        WITH_FILES(all_of_it_is_read),
        WITH_FILES(what_cannot_be_done_is_refused),
        WITH_FILES(a_change_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
