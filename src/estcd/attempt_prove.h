/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a certificate that has been issued is put in force. */
#pragma once

#include <stdbool.h>

#include "agent/config.h"

/* `works`: there is one in force that has not expired. `proof`: how a handshake with the new one
 * ended, 0, ESTC_E_* or a negative errno. Pure. */
bool prove_accepts(enum config_prove prove, bool works, int proof);
