/* SPDX-License-Identifier: BSD-2-Clause */
/* Every key of est-registrar.conf, for the check of the manual. */
#include "est-registrar/config.h"

int main(void) {
    conf_print_keys(registrar_config_keys, "");
    return 0;
}
