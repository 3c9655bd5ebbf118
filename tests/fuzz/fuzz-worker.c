/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker tells the manager, and the facts that it leaves on disk: both count as hostile. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "ctl/json.h"
#include "estcd/facts.h"
#include "estcd/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct worker_message message;
    if (worker_message_parse(data, len, &message, NULL) == 0)
        worker_message_clear(&message);
    _cleanup(json_freep) json_t *json = ctl_json_object((const char *)data, len);
    struct facts facts;
    if (json && facts_from_json(json, &facts, NULL) == 0) {
        _cleanup(json_freep) json_t *again = facts_to_json(&facts);
        FUZZ_CHECK(again);
        facts_clear(&facts);
    }
    return 0;
}
