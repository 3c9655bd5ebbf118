/* SPDX-License-Identifier: BSD-2-Clause */
/* libcoap's own messages, led into ours. */
#pragma once

/* Process-wide, as libcoap's log is; cheap to repeat. */
void coaplog_install(void);
