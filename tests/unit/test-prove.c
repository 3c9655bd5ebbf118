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

/* A day's certificate that began at 0; the new one came at 60,000, beginning at `begins`. */
static void what_begins_later_waits(void **state) {
    (void)state;
    static const struct {
        bool have_current;
        int64_t begins, now;
        bool begun;
    } rows[] = {
        {false, 60000, 60000, true},
        {true, 60000, 60000, true},
        {false, 60001, 60000, false},
        {false, 60001, 60001, true},
        {true, 63600, 60000, false},
        {true, 63600, 63599, false},
        {true, 63600, 63600, true},
        /* By the CA's clock the one in force has almost ended. */
        {true, 82079, 60000, false},
        {true, 82079, 60001, true},
        {true, 90000, 60000, true},
        {true, INT64_MAX, 60000, true},
        {true, INT64_MAX, 60001, false},
        {false, INT64_MAX, 60001, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct prove_dates dates = {.begins = rows[i].begins,
                                    .came = 60000,
                                    .have_current = rows[i].have_current,
                                    .not_after = 86400,
                                    .now = rows[i].now};
        if (prove_has_begun(&dates) != rows[i].begun)
            fail_msg("row %zu", i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_works_is_replaced_by_what_works),
                                       cmocka_unit_test(what_begins_later_waits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
