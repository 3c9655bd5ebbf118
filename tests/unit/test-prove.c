/* SPDX-License-Identifier: BSD-2-Clause */
/* Which certificate is put in force: the table, whole. */
#include "support.h"

#include <errno.h>

#include "estcd/attempt_prove.h"

static const struct {
    enum config_prove prove;
    bool works;
    int proof;
    bool accepted;
} cases[] = {
    {CONFIG_PROVE_AUTO, false, 0, true},
    {CONFIG_PROVE_AUTO, true, 0, true},
    {CONFIG_PROVE_AUTO, false, ESTC_E_REJECTED, true},
    {CONFIG_PROVE_AUTO, true, ESTC_E_REJECTED, false},
    {CONFIG_PROVE_AUTO, false, ESTC_E_TIMEOUT, true},
    {CONFIG_PROVE_AUTO, true, ESTC_E_TIMEOUT, false},
    {CONFIG_PROVE_AUTO, false, -ENOMEM, true},
    {CONFIG_PROVE_AUTO, true, -ENOMEM, false},
    {CONFIG_PROVE_ALWAYS, false, 0, true},
    {CONFIG_PROVE_ALWAYS, true, 0, true},
    {CONFIG_PROVE_ALWAYS, false, ESTC_E_REJECTED, false},
    {CONFIG_PROVE_ALWAYS, true, ESTC_E_REJECTED, false},
    {CONFIG_PROVE_ALWAYS, false, ESTC_E_UNREACHABLE, false},
    {CONFIG_PROVE_ALWAYS, true, ESTC_E_UNREACHABLE, false},
    {CONFIG_PROVE_NEVER, false, 0, true},
    {CONFIG_PROVE_NEVER, true, 0, true},
};

static void what_works_is_replaced_by_what_works(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (prove_accepts(cases[i].prove, cases[i].works, cases[i].proof) != cases[i].accepted)
            fail_msg("case %zu", i);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_works_is_replaced_by_what_works)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
