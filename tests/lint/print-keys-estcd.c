/* SPDX-License-Identifier: BSD-2-Clause */
/* Every key of estcd.conf, for the check of the manual. */
#include "agent/config.h"

int main(void) {
    conf_print_keys(config_keys, "");
    return 0;
}
