/* SPDX-License-Identifier: BSD-2-Clause */
/* CSR attributes: what is decoded and can be said in a form is decoded again from that form. */
#include "fuzz.h"

#include <estc/csrattrs.h>

static void say_again(const struct estc_csrattrs *attrs, enum estc_csrattrs_form form) {
    struct estc_buf der = {0};
    struct estc_csrattrs again = {0};
    if (estc_csrattrs_can_say(attrs, form, NULL) == 0) {
        FUZZ_CHECK(estc_csrattrs_encode(attrs, form, &der, NULL) == 0);
        FUZZ_CHECK(estc_csrattrs_decode(der.data, der.len, &again, NULL) == 0);
        FUZZ_CHECK(again.challenge == attrs->challenge &&
                   again.extension_count == attrs->extension_count);
        /* The plain form does not say what is part of a name: a type that nobody knows is lost. */
        if (form == ESTC_CSRATTRS_TEMPLATE)
            FUZZ_CHECK(again.name_count == attrs->name_count);
    }
    estc_csrattrs_clear(&again);
    estc_buf_clear(&der);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct estc_csrattrs attrs = {0};
    if (estc_csrattrs_decode(data, len, &attrs, NULL))
        return 0;
    FUZZ_CHECK(attrs.name_count <= ESTC_CSRATTRS_MAX && attrs.other_count <= ESTC_CSRATTRS_MAX);
    for (size_t i = 0; i < attrs.extension_count; i++)
        (void)estc_extension_wish_is_open(&attrs.extensions[i]);
    for (int type = 0; type < ESTC_KEY_TYPE_MAX_; type++)
        (void)estc_key_wish_fits(&attrs.key, (enum estc_key_type)type);
    (void)estc_csrattrs_digest(&attrs);
    say_again(&attrs, ESTC_CSRATTRS_PLAIN);
    say_again(&attrs, ESTC_CSRATTRS_TEMPLATE);
    estc_csrattrs_clear(&attrs);
    return 0;
}
