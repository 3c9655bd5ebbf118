/* SPDX-License-Identifier: BSD-2-Clause */
/* One exit code for several outcomes. */
#include "common/exitcode.h"

#include <stddef.h>

int exit_code_worse(int a, int b) {
    /* First what concerns everything, then what nobody but a person can mend, then what mends
     * itself. */
    static const int order[] = {EXIT_NOT_ALLOWED, EXIT_NO_DAEMON, EXIT_BAD_CONFIG, EXIT_REJECTED,
                                EXIT_UNREACHABLE, EXIT_FAILED,    EXIT_WORKING,    EXIT_DONE};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (order[i] == a || order[i] == b)
            return order[i];
    return a;
}
