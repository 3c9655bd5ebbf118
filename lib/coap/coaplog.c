/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcoap writes warnings to the standard streams, some of them whenever a stranger likes. They
 * become debug messages of ours, at most COAPLOG_BURST in COAPLOG_WINDOW_MS; whatever matters is
 * reported by the code that called libcoap. The state is global because libcoap's handler is: it
 * has no argument.
 */
#include "coap/coaplog.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <coap3/coap.h>

#include "base/clock.h"
#include "base/log.h"

#define COAPLOG_BURST 20
#define COAPLOG_WINDOW_MS 10000

static struct {
    int64_t window_began;
    unsigned in_window;
    unsigned long suppressed;
} coaplog_limit;

static bool coaplog_allows(void) {
    int64_t now = clock_boot_ms();
    if (now - coaplog_limit.window_began >= COAPLOG_WINDOW_MS) {
        if (coaplog_limit.suppressed > 0)
            log_debug("libcoap: %lu messages suppressed", coaplog_limit.suppressed);
        coaplog_limit.window_began = now;
        coaplog_limit.in_window = 0;
        coaplog_limit.suppressed = 0;
    }
    if (coaplog_limit.in_window < COAPLOG_BURST) {
        coaplog_limit.in_window++;
        return true;
    }
    coaplog_limit.suppressed++;
    return false;
}

static void coaplog_write(coap_log_t level, const char *message) {
    (void)level;
    if (coaplog_allows())
        log_debug("libcoap: %.*s", (int)strcspn(message, "\n"), message);
}

void coaplog_install(void) {
    coap_set_log_handler(coaplog_write);
    coap_set_log_level(LOG_WARNING);
    /* Above this level libcoap's info callback drains OpenSSL's error queue before we read it. */
    coap_dtls_set_log_level(LOG_EMERG);
}
