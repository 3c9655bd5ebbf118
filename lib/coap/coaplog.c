/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcoap writes warnings to the standard streams, some of them whenever a stranger likes. They
 * become debug messages of ours, rationed; whatever matters is reported by the code that called
 * libcoap. The state is global because libcoap's handler is: it has no argument.
 */
#include "coap/coaplog.h"

#include <string.h>

#include <coap3/coap.h>

#include "base/log.h"
#include "coap/ration.h"

/* syslog's numbers; the names that libcoap has for them differ between its versions. */
#define COAPLOG_EMERGENCY ((coap_log_t)0)
#define COAPLOG_WARNING ((coap_log_t)4)

static struct ration coaplog_ration;

static void coaplog_write(coap_log_t level, const char *message) {
    (void)level;
    unsigned long missed;
    if (!ration_allows(&coaplog_ration, &missed))
        return;
    if (missed > 0)
        log_debug("libcoap: %lu messages suppressed", missed);
    log_debug("libcoap: %.*s", (int)strcspn(message, "\n"), message);
}

void coaplog_install(void) {
    coap_set_log_handler(coaplog_write);
    coap_set_log_level(COAPLOG_WARNING);
    /* Above this level libcoap's info callback drains OpenSSL's error queue before we read it. */
    coap_dtls_set_log_level(COAPLOG_EMERGENCY);
}
