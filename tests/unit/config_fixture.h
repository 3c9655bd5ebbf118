/* SPDX-License-Identifier: BSD-2-Clause */
/* An estcd.conf that is written and read. */
#pragma once

#include "agent/config.h"
#include "conf_file.h"

static inline struct config *load(struct conf_place *c, const char *text) {
    struct config *config = NULL;
    conf_errors_clear(&c->errors);
    conf_write(c, "estcd.conf", text);
    int rc = config_load(c->path, &config, &c->errors);
    if (rc == 0)
        assert_no_errors(&c->errors);
    else
        assert_null(config);
    assert_true(rc == 0 || (rc == ESTC_E_CONFIG && conf_errors_any(&c->errors)));
    return config;
}

static inline struct config *load_good(struct conf_place *c, const char *text) {
    struct config *config = load(c, text);
    assert_no_errors(&c->errors);
    assert_non_null(config);
    return config;
}

#define COMMON                                              \
    "url = \"coaps://est.example\"; trust = \"trust.pem\";" \
    "birth = { certificate = \"/b/cert.pem\"; key = \"/b/key.pem\"; };"
#define DEFAULTS "defaults = { " COMMON " };\n"
/* One identity that is complete but for what stands in more. */
#define ONE(more) DEFAULTS "identities = (\n { id = \"gw\"; " more " } );\n"
