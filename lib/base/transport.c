/* SPDX-License-Identifier: BSD-2-Clause */
/* What every transport and every user of one shares. Owns nothing of its own. */
#include <estc/transport.h>

#include "base/clock.h"

void estc_response_clear(struct estc_response *response) {
    if (!response)
        return;
    estc_buf_clear(&response->payload);
    *response = (struct estc_response){.content_format = ESTC_FORMAT_NONE, .max_age = -1};
}

struct estc_wait estc_wait_in(int64_t milliseconds) {
    int64_t now = clock_boot_ms();
    int64_t room = INT64_MAX - now;
    return (struct estc_wait){.deadline = now + (milliseconds < room ? milliseconds : room),
                              .cancel_fd = -1};
}

struct estc_transport *estc_transport_free(struct estc_transport *t) {
    if (t)
        t->ops->free(t);
    return NULL;
}
