/* SPDX-License-Identifier: BSD-2-Clause */
/* One datagram, as libcoap parses it and we read it. */
#include "fuzz.h"

#include <string.h>

#include <coap3/coap.h>

#include "base/cleanup.h"
#include "coap/message.h"

#define DATAGRAM_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    coap_pdu_t *pdu = coap_pdu_init(0, 0, 0, DATAGRAM_MAX);
    FUZZ_CHECK(pdu);
    coap_set_log_level(LOG_EMERG);
    if (len <= DATAGRAM_MAX && coap_pdu_parse(COAP_PROTO_UDP, data, len, pdu)) {
        struct message m;
        _cleanup(freep) char *path = message_path(pdu), *query = message_query(pdu);
        if (message_read(pdu, &m) == 0)
            FUZZ_CHECK(m.payload_len <= len && m.etag_len <= BLOCK_ETAG_MAX &&
                       m.request_tag_len <= MESSAGE_REQUEST_TAG_MAX);
        if (path)
            FUZZ_CHECK(path[0] == '/' && !strstr(path, "/../") && !strstr(path, "/./"));
        if (query)
            FUZZ_CHECK(strlen(query) <= len);
    }
    coap_delete_pdu(pdu);
    return 0;
}
